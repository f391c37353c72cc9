using System.Net;
using System.Net.Sockets;
using Bank.Contracts;
using Bank.Domain;
using Bank.Host;
using Bank.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.EventSourcing.Postgres;
using Xunit;

namespace Bank.ReadModel.Tests;

/// <summary>Silos of the product, in this process.</summary>
public abstract class SiloTest(PrivatePostgres postgres) : ReadModelTest(postgres)
{
    protected static async Task<(AccountId Id, Position Position)> OpenAccountAsync(IHost silo)
    {
        var id = new AccountId(Guid.NewGuid());
        var reply = await silo.Services.GetRequiredService<IGrainFactory>().GetGrain<IBankAccountGrain>(id.Value)
            .Open("Ada", "USD", new(1_000, 2), new(DerivedId.Opening(id)));
        Assert.Equal(ReplyStatus.Done, reply.Status);
        return (id, new(reply.Position));
    }

    protected async Task<IHost> StartAsync()
    {
        var builder = Microsoft.Extensions.Hosting.Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Orleans:Membership:ProbeTimeout"] = "00:00:01",
            ["Orleans:Membership:NumMissedProbesLimit"] = "2",
            ["Orleans:Membership:TableRefreshTimeout"] = "00:00:02",
        });
        builder.AddBankSilo(Database.App, FreePort(), FreePort());
        builder.AddBankHealth();
        var host = builder.Build();
        try
        {
            await host.StartAsync(Cancellation);
            return host;
        }
        catch
        {
            host.Dispose();
            throw;
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
