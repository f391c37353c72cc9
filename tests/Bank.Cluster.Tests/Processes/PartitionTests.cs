using System.Globalization;
using Bank.Testing;
using Xunit;

namespace Bank.Cluster.Tests.Processes;

/// <summary>Cables are pulled: a silo has the database and not the others, or the others and not the database.</summary>
[Collection(nameof(ClusterCollection))]
public sealed class PartitionTests(ITestOutputHelper output)
{
    private static readonly int Clients = Scale.Of(suite: 24, full: 64);
    private static readonly int Leniency = Scale.Of(suite: 3, full: 1);
    private static readonly TimeSpan Think = TimeSpan.FromMilliseconds(Scale.Of(suite: 100, full: 200));

    [Fact(Explicit = true)]
    public async Task A_silo_that_is_cut_off_costs_time_and_nothing_else()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "Only root has networks to cut.");
        if (!Lab.IsHere)
        {
            var test = nameof(A_silo_that_is_cut_off_costs_time_and_nothing_else);
            output.WriteLine(await Lab.RunAsync($"{typeof(PartitionTests).FullName}.{test}"));
            return;
        }

        await using var lab = await Lab.StartAsync();

        // It is on its own, which it finds out from the database.
        using (var traffic = await Traffic.BeginAsync([lab.Gateway], Clients, think: Think))
        {
            var at = traffic.Now;
            await Lab.CutAsync("silos", 3);
            await EveryAccountAnswersAsync(traffic, at);
            Within("a silo is cut off from the others: every account answers", Resumed(traffic, at), 13);
            Assert.NotEqual(0, await lab.EndAsync(3));
            await traffic.EndAsync();
            await traffic.AuditAsync(lab.Database);
        }

        if (Leniency > 1)
            return;
        // It can do nothing for its accounts, and says so; the others do not know, and it keeps them until it has the database again.
        using (var traffic = await Traffic.BeginAsync([lab.Gateway], Clients, think: Think))
        {
            await Lab.CutAsync("databases", 2);
            await Task.Delay(TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken);
            var at = traffic.Now;
            await Lab.HealAsync("databases", 2);
            await EveryAccountAnswersAsync(traffic, at);
            Within("a silo has the database again: every account answers", Resumed(traffic, at), 13);
            await traffic.EndAsync();
            await traffic.AuditAsync(lab.Database);
        }
    }

    private static Task EveryAccountAnswersAsync(Traffic traffic, TimeSpan at) => Eventually.UntilAsync(
        "every account has answered what it was asked afterwards",
        () => traffic.Accounts.ToHashSet().IsSubsetOf(traffic.Commands.Where(told => told.Sent > at).Select(told => told.Account)),
        LocalCluster.Patience);

    private static TimeSpan Resumed(Traffic traffic, TimeSpan at) => traffic.Accounts.Max(
        account => traffic.Commands.Where(told => told.Account == account && told.Sent > at).Min(told => told.Ended)) - at;

    private void Within(string what, TimeSpan took, double seconds)
    {
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {what}: {took.TotalSeconds:0.00} s of {seconds} s"));
        Assert.True(took.TotalSeconds <= seconds * Leniency, $"{what}: {took.TotalSeconds} s, {Leniency} times {seconds} s are allowed");
    }
}
