using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using Bank.Host;
using Bank.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Orleans.EventSourcing.Postgres;

namespace Bank.Gateway.Tests;

/// <summary>The product's own composition in this process, on a port of loopback.</summary>
public sealed class TestBank : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly ErrorLog errors;

    private TestBank(WebApplication app, ErrorLog errors)
    {
        (this.app, this.errors) = (app, errors);
        Address = new(app.Urls.First());
        Rest = new(Address);
    }

    public Uri Address { get; }

    public RestClient Rest { get; }

    public IGrainFactory Grains => app.Services.GetRequiredService<IGrainFactory>();

    /// <summary>Whose instruments are this bank's.</summary>
    public IMeterFactory Meters => app.Services.GetRequiredService<IMeterFactory>();

    /// <summary>What was logged as an error: nothing that a client sends may be one.</summary>
    public IReadOnlyCollection<string> Errors => errors.Lines;

    /// <param name="database">Where its journal is.</param>
    /// <param name="settings">As in the configuration.</param>
    public static Task<TestBank> StartAsync(TestDatabase database, params IEnumerable<KeyValuePair<string, string?>> settings) =>
        StartAsync(database.App, settings);

    /// <param name="connectionString">Where its journal is.</param>
    /// <param name="settings">As in the configuration.</param>
    public static async Task<TestBank> StartAsync(
        string connectionString, params IEnumerable<KeyValuePair<string, string?>> settings)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration.AddInMemoryCollection(settings);
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var errors = new ErrorLog();
        builder.Logging.ClearProviders().AddProvider(errors);
        builder.AddBankSilo(connectionString, FreePort(), FreePort())
            .AddBankGateway().AddBankHealth().AddBankTelemetry(Role.All);
        var app = builder.Build().MapBank(Role.All);
        try
        {
            await app.StartAsync();
            return new(app, errors);
        }
        catch
        {
            await app.DisposeAsync();
            throw;
        }
    }

    /// <summary>The position of the last event in the journal.</summary>
    public async Task<long> HeadAsync() =>
        (await app.Services.GetRequiredService<IJournalReader>().ReadHeadAsync(CancellationToken.None)).Value;

    public async ValueTask DisposeAsync()
    {
        Rest.Dispose();
        await app.StopAsync();
        await app.DisposeAsync();
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
