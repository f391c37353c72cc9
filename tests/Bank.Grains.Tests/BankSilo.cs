using System.Net;
using System.Net.Sockets;
using Bank.Host;
using Bank.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Orleans.Runtime;
using Xunit;

namespace Bank.Grains.Tests;

/// <summary>The product's silo in this process, on a database of its own; for the tests of one class, which may start more.</summary>
public class BankSilo(PrivatePostgres postgres) : IAsyncLifetime
{
    public TestDatabase Database { get; private set; } = null!;

    /// <summary>Past every journal, as <c>bank_app</c>.</summary>
    public NpgsqlDataSource App { get; private set; } = null!;

    /// <summary>The silo that is always there.</summary>
    public RunningSilo First { get; private set; } = null!;

    public IGrainFactory Grains => First.Grains;

    /// <summary>Of every silo here.</summary>
    protected virtual IEnumerable<KeyValuePair<string, string?>> Settings => [];

    public async ValueTask InitializeAsync()
    {
        Database = await postgres.CreateDatabaseAsync();
        App = NpgsqlDataSource.Create(Database.App);
        First = await StartAsync();
    }

    /// <summary>Another silo, which the caller ends.</summary>
    /// <param name="cluster">The first one's, or one that knows nothing of it.</param>
    /// <param name="settings">Of the configuration; see <see cref="Composition"/>.</param>
    /// <param name="decorate">Changes what was composed.</param>
    public Task<RunningSilo> StartAsync(
        string cluster = "bank",
        IEnumerable<KeyValuePair<string, string?>>? settings = null,
        Action<IServiceCollection>? decorate = null) =>
        RunningSilo.StartAsync(Database.App, cluster, [.. Settings, .. settings ?? []], decorate ?? (_ => { }));

    public async Task<T> ScalarAsync<T>(string sql)
    {
        await using var command = App.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync(TestContext.Current.CancellationToken))!;
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await First.DisposeAsync();
        await App.DisposeAsync();
    }
}

/// <summary>A silo of the product's composition.</summary>
public sealed class RunningSilo : IAsyncDisposable
{
    private readonly IHost host;

    private RunningSilo(IHost host) => this.host = host;

    public IServiceProvider Services => host.Services;

    public IGrainFactory Grains => Services.GetRequiredService<IGrainFactory>();

    public SiloAddress Address => Services.GetRequiredService<ILocalSiloDetails>().SiloAddress;

    internal static async Task<RunningSilo> StartAsync(
        string connectionString, string cluster, IEnumerable<KeyValuePair<string, string?>> settings, Action<IServiceCollection> decorate)
    {
        var builder = Microsoft.Extensions.Hosting.Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Orleans:ClusterId"] = cluster,
            ["Orleans:Membership:ProbeTimeout"] = "00:00:01",
            ["Orleans:Membership:NumMissedProbesLimit"] = "2",
            ["Orleans:Membership:TableRefreshTimeout"] = "00:00:02",
            ["Orleans:Membership:IAmAliveTablePublishTimeout"] = "00:00:01",
        });
        builder.Configuration.AddInMemoryCollection(settings);
        builder.AddBankSilo(connectionString, FreePort(), FreePort());
        decorate(builder.Services);
        var host = builder.Build();
        try
        {
            await host.StartAsync(TestContext.Current.CancellationToken);
            return new(host);
        }
        catch
        {
            await ((IAsyncDisposable)host).DisposeAsync();
            throw;
        }
    }

    /// <summary>Leaves the cluster in order.</summary>
    public Task StopAsync() => host.StopAsync(TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        await host.StopAsync(CancellationToken.None);
        await ((IAsyncDisposable)host).DisposeAsync();
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
