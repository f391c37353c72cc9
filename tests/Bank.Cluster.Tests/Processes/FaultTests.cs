using System.Globalization;
using Bank.Testing;
using Xunit;

namespace Bank.Cluster.Tests.Processes;

/// <summary>One cluster for all tests of a running one, with nothing else going on: they measure times.</summary>
[CollectionDefinition(nameof(ClusterCollection), DisableParallelization = true)]
public sealed class ClusterCollection : ICollectionFixture<LocalCluster>;

/// <summary>
/// What members of a running cluster do to it when they die or freeze. Three times the times that are promised are allowed, and clients
/// are few; with BANK_TEST_SCALE=full there are 64, and the times are the promise.
/// </summary>
[Collection(nameof(ClusterCollection))]
public sealed class FaultTests(LocalCluster cluster, ITestOutputHelper output)
{
    private static readonly int Clients = Scale.Of(suite: 24, full: 64);
    private static readonly int Leniency = Scale.Of(suite: 3, full: 1);
    private static readonly TimeSpan Think = TimeSpan.FromMilliseconds(Scale.Of(suite: 100, full: 200));

    [Fact]
    public async Task Accounts_of_a_silo_that_is_killed_resume_elsewhere_and_others_hardly_notice()
    {
        await cluster.WholeAsync();
        using var traffic = await Traffic.BeginAsync(cluster.Gateways, Clients, think: Think);
        var (silo, own, at) = await SufferAsync(traffic, "kill");
        await traffic.EndAsync();
        Assert.Contains($"silo {silo} is dead", await cluster.CommandAsync("status"), StringComparison.Ordinal);
        await traffic.AuditAsync(cluster.Database);
        Within("a killed silo's accounts resume", Resumed(traffic, own, at), 4);
        Within("a silo is killed: the longest wait of a command elsewhere", LongestElsewhere(traffic, own, at), 1);
    }

    [Fact]
    public async Task Accounts_of_a_silo_that_is_frozen_resume_elsewhere_and_thawed_it_changes_nothing_and_ends()
    {
        await cluster.WholeAsync();
        using var traffic = await Traffic.BeginAsync(cluster.Gateways, Clients, think: Think);
        var (silo, own, at) = await SufferAsync(traffic, "freeze");
        await cluster.ActAsync("thaw", "silo", silo);
        await Eventually.UntilAsync(
            $"silo {silo} has ended by itself",
            cluster.MembersAsync,
            members => members.Single(member => member.Role == "silo" && member.Index == silo).State == "dead",
            LocalCluster.Patience);
        await traffic.EndAsync();
        await traffic.AuditAsync(cluster.Database);
        Within("a frozen silo's accounts resume", Resumed(traffic, own, at), 13);
        output.WriteLine($"  the longest wait of a command elsewhere: {LongestElsewhere(traffic, own, at).TotalSeconds:0.00} s");
    }

    [Fact]
    public async Task A_frozen_gateway_costs_its_clients_their_time_out_and_nobody_else_anything()
    {
        await cluster.WholeAsync();
        var attempt = TimeSpan.FromSeconds(2);
        using var traffic = await Traffic.BeginAsync(cluster.Gateways, Clients, attempt, Think);
        var at = traffic.Now;
        await cluster.ActAsync("freeze", "gateway", 2);
        await Eventually.UntilAsync(
            "every client has an answer from the other",
            () => traffic.Accounts.ToHashSet().IsSubsetOf(traffic.Commands.Where(told => told.Sent > at).Select(told => told.Account)),
            LocalCluster.Patience);
        await cluster.ActAsync("thaw", "gateway", 2);
        await cluster.WholeAsync();
        await traffic.EndAsync();
        await traffic.AuditAsync(cluster.Database);
        Within(
            "a gateway is frozen: the longest wait beyond a client's time-out",
            traffic.Commands.Where(told => told.Ended > at).Max(told => told.Took) - attempt,
            1);
    }

    [Fact]
    public async Task When_all_silos_are_killed_one_that_comes_back_serves_everything()
    {
        await cluster.WholeAsync();
        using var traffic = await Traffic.BeginAsync(cluster.Gateways, Clients, think: Think);
        await Task.WhenAll(Enumerable.Range(1, 3).Select(silo => cluster.ActAsync("kill", "silo", silo)));
        var at = traffic.Now;
        await cluster.ActAsync("start", "silo", 1);
        await Eventually.UntilAsync(
            "every client has an answer",
            () => traffic.Accounts.ToHashSet().IsSubsetOf(traffic.Commands.Where(told => told.Sent > at).Select(told => told.Account)),
            LocalCluster.Patience);
        await traffic.EndAsync();
        await traffic.AuditAsync(cluster.Database);
        Within("one silo of three that were killed serves all", Resumed(traffic, traffic.Accounts, at), 20);
    }

    // The silo that has most of the accounts suffers.
    private async Task<(int Silo, HashSet<Guid> Own, TimeSpan At)> SufferAsync(Traffic traffic, string act)
    {
        await WarmAsync(traffic);
        var where = await cluster.WhereAccountsAreAsync();
        var (silo, own) = traffic.Accounts.GroupBy(account => where[account]).OrderByDescending(there => there.Count())
            .Select(there => (there.Key, there.ToHashSet())).First();

        var at = traffic.Now;
        await cluster.ActAsync(act, "silo", silo);
        await Eventually.UntilAsync(
            $"every account of silo {silo} has answered what it was asked afterwards",
            () => own.IsSubsetOf(traffic.Commands.Where(told => told.Sent > at).Select(told => told.Account)),
            LocalCluster.Patience);
        output.WriteLine($"{act} silo {silo}, which had {own.Count} of {Clients} accounts");
        return (silo, own, at);
    }

    // What is measured is the bank and not its compiler: processes that have just been started take most of the machine.
    private static async Task WarmAsync(Traffic traffic)
    {
        var (of, quick) = (TimeSpan.FromSeconds(5), TimeSpan.FromMilliseconds(150));
        await Eventually.UntilAsync(
            $"nine of ten commands of the last {of.TotalSeconds} s took less than {quick.TotalMilliseconds} ms",
            () =>
            {
                var last = traffic.Commands.Where(told => told.Ended > traffic.Now - of).Select(told => told.Took < quick).ToList();
                var share = last.Count(isQuick => isQuick) / (decimal)Math.Max(1, last.Count);
                return Task.FromResult((share > 0.9m, (object?)$"{share:P0} of {last.Count}"));
            },
            LocalCluster.Patience);
    }

    private static TimeSpan LongestElsewhere(Traffic traffic, HashSet<Guid> own, TimeSpan at) =>
        traffic.Commands.Where(told => told.Ended > at && !own.Contains(told.Account)).Max(told => told.Took);

    // Of each account the first command that was sent afterwards.
    private static TimeSpan Resumed(Traffic traffic, IEnumerable<Guid> accounts, TimeSpan at) =>
        accounts.Max(account => traffic.Commands.Where(told => told.Account == account && told.Sent > at).Min(told => told.Ended)) - at;

    private void Within(string what, TimeSpan took, double seconds)
    {
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {what}: {took.TotalSeconds:0.00} s of {seconds} s"));
        Assert.True(took.TotalSeconds <= seconds * Leniency, $"{what}: {took.TotalSeconds} s, {Leniency} times {seconds} s are allowed");
    }
}
