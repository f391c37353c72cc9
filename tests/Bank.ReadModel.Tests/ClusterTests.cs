using System.Net;
using System.Net.Sockets;
using Bank.Contracts;
using Bank.Domain;
using Bank.Host;
using Bank.ReadModel.Accounts;
using Bank.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.EventSourcing.Postgres;
using Xunit;

namespace Bank.ReadModel.Tests;

/// <summary>The projections of the product's silos, fed by its streams.</summary>
public sealed class ClusterTests(PrivatePostgres postgres) : ReadModelTest(postgres)
{
    [Fact]
    public async Task Read_models_follow_the_journal_are_rebuilt_on_demand_and_outlive_a_silo()
    {
        using var first = await StartAsync();
        using var second = await StartAsync();
        var opened = await Task.WhenAll(Enumerable.Range(0, 40).Select(n => OpenAccountAsync(n % 2 == 0 ? first : second)));
        var accounts = second.Services.GetRequiredService<AccountQuery>();
        foreach (var (id, position) in opened)
        {
            var read = await accounts.FindAsync(id, position, Cancellation);
            Assert.Equal(1_000, read.Value?.Balance.MinorUnits);
        }

        var rebuild = second.Services.GetRequiredService<IGrainFactory>().GetGrain<IProjectionOperatorGrain>("accounts");
        Assert.True(await rebuild.RebuildAsync(new("an operator", "a test")));
        Assert.False(await second.Services.GetRequiredService<IGrainFactory>().GetGrain<IProjectionOperatorGrain>("no such")
            .PauseAsync(new("an operator")));
        await Eventually.UntilAsync(
            "the new tables serve",
            async () => (await second.Services.GetRequiredService<ProjectionStatusReader>().ReadAsync(Cancellation))
                .Single(p => p.Name == "accounts"),
            status => status is { Generation: 2, State: "running" },
            Patience);

        // It leaves without handing anything over.
        await first.StopAsync(new CancellationToken(canceled: true));
        await Eventually.UntilAsync(
            "an account that is opened is read, whichever partition it lies in",
            async () =>
            {
                var more = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => OpenAccountAsync(second)));
                var read = await Task.WhenAll(more.Select(m => accounts.FindAsync(m.Id, m.Position, Cancellation)));
                return (read.All(r => r.Value is not null), read.Length);
            },
            Patience);
        await second.StopAsync(Cancellation);
        Assert.Equal(
            (await JournalFold.OfJournalAsync(App))["accounts"].Order(StringComparer.Ordinal),
            (await JournalFold.OfTablesAsync(App))["accounts"]);
    }

    private static async Task<(AccountId Id, Position Position)> OpenAccountAsync(IHost silo)
    {
        var id = new AccountId(Guid.NewGuid());
        var reply = await silo.Services.GetRequiredService<IGrainFactory>().GetGrain<IBankAccountGrain>(id.Value)
            .Open("Ada", "USD", new(1_000, 2), new(DerivedId.Opening(id)));
        Assert.Equal(ReplyStatus.Done, reply.Status);
        return (id, new(reply.Position));
    }

    private async Task<IHost> StartAsync()
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
