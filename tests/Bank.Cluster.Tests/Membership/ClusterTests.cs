using Bank.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Configuration;
using Orleans.Hosting;
using Orleans.Runtime;
using Xunit;

namespace Bank.Cluster.Tests.Membership;

/// <summary>Silos that come and go, as the database and the others see it.</summary>
public sealed class ClusterTests(TwoSilos cluster) : IClassFixture<TwoSilos>
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Silos_that_start_at_once_find_each_other_and_clients_find_them()
    {
        await Eventually.UntilAsync(
            "both silos are active", ActiveAsync, active => active.IsSupersetOf([cluster.First.Address, cluster.Second.Address]));

        var builder = Microsoft.Extensions.Hosting.Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.UseOrleansClient(client => client
            .Configure<ClusterOptions>(o => (o.ClusterId, o.ServiceId) = (TwoSilos.ClusterId, TwoSilos.ClusterId))
            .UseAdoNetClustering(o => (o.Invariant, o.ConnectionString) = (OrleansDatabase.Invariant, cluster.ConnectionString)));
        using var client = builder.Build();
        await client.StartAsync(Cancelled);

        var management = client.Services.GetRequiredService<IGrainFactory>().GetGrain<IManagementGrain>(0);
        var hosts = await management.GetHosts(onlyActive: true, Cancelled);
        Assert.Superset(new HashSet<SiloAddress> { cluster.First.Address, cluster.Second.Address }, hosts.Keys.ToHashSet());
        await client.StopAsync(Cancelled);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_silo_that_leaves_is_dead_for_all_and_is_cleaned_up_while_the_others_go_on(bool inOrder)
    {
        var leaving = await cluster.StartSiloAsync();
        await Eventually.UntilAsync("it is active", ActiveAsync, active => active.Contains(leaving.Address));

        if (inOrder)
        {
            await leaving.StopAsync(Cancelled);
        }
        else
        {
            await leaving.DropAsync();
        }
        await leaving.DisposeAsync();

        await Eventually.UntilAsync(
            "it is dead", () => StatusAsync(leaving.Address), status => status == SiloStatus.Dead, TimeSpan.FromSeconds(20));
        await cluster.First.Members.CleanupDefunctSiloEntriesAsync(DateTimeOffset.UtcNow.AddMinutes(1), Cancelled);
        Assert.Equal(SiloStatus.None, await StatusAsync(leaving.Address));
        Assert.Superset(new HashSet<SiloAddress> { cluster.First.Address, cluster.Second.Address }, await ActiveAsync());
    }

    private async Task<HashSet<SiloAddress>> ActiveAsync() =>
        [.. (await cluster.First.Members.ReadAllAsync(Cancelled)).Members.Select(m => m.Item1)
            .Where(m => m.Status == SiloStatus.Active).Select(m => m.SiloAddress)];

    private async Task<SiloStatus> StatusAsync(SiloAddress silo) =>
        (await cluster.First.Members.ReadRowAsync(silo, Cancelled)).TryGet(silo)?.Item1.Status ?? SiloStatus.None;
}
