using Bank.Testing;
using Xunit;

namespace Bank.Cluster.Tests.Processes;

/// <summary>Every member is restarted while clients are at work.</summary>
[Collection(nameof(ClusterCollection))]
public sealed class RollingRestartTests(LocalCluster cluster, ITestOutputHelper output)
{
    [Fact(Explicit = true)]
    public async Task Who_asks_for_readiness_every_half_second_and_uses_ready_gateways_only_sees_no_failed_request()
    {
        await cluster.WholeAsync();
        var before = await cluster.MembersAsync();
        using var traffic = await Traffic.BeginAsync(
            cluster.Gateways, Scale.Of(suite: 24, full: 64), think: TimeSpan.FromMilliseconds(Scale.Of(suite: 100, full: 200)));
        var following = traffic.FollowReadinessAsync();

        var said = await cluster.CommandAsync("restart");
        await traffic.EndAsync();
        await following;

        var after = await cluster.MembersAsync();
        Assert.All(after, member => Assert.Equal("ready", member.State));
        Assert.Empty(after.Select(member => member.Pid).Intersect(before.Select(member => member.Pid)));
        Assert.EndsWith("all members are new", said, StringComparison.Ordinal);
        output.WriteLine($"{traffic.Commands.Count} commands in {traffic.Now}, {traffic.Failures.Count} failures");
        // A machine that does other things may be late with a question for readiness: the suite lets a few pass.
        Assert.True(
            traffic.Failures.Count <= Scale.Of(suite: 5, full: 0), string.Join('\n', traffic.Failures.Order().Take(50)));
        await traffic.AuditAsync(cluster.Database);
    }
}
