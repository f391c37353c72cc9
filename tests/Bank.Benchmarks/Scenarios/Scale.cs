using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Benchmarks.Scaling;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

/// <summary>
/// Writers of several silos on one journal, measured and computed: what <see cref="JournalModel"/> says for docs/scale.md is as good as
/// its answers are here. Two points with one writer, and two with three that gather nothing, tell the costs; every other is a prediction.
/// </summary>
internal sealed class Scale : Scenario
{
    private const int Few = 60;
    private const int Many = 600;
    private const string AtOnce = ", at once";

    private static readonly (int Silos, int Callers)[] Points = [(1, Few), (1, Many), (2, Many), (3, Few), (3, Many)];

    public override string Name => "scale";

    public override string About => "one to three silos' writers on one journal, commits made slower, against the model of docs/scale.md";

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        await using var writers = await ManyWriters.PrepareAsync(postgres, comparison.Pace);
        int[] delays = comparison.Pace.IsQuick ? [0] : [0, 1, 5];
        foreach (var delay in delays)
        {
            await writers.DelayCommitsAsync(TimeSpan.FromMilliseconds(delay));
            var parties = Points.Select(point => PartyOf(point, delay, gather: true));
            if (delay == 0)
                parties = [.. parties, PartyOf((3, Few), 0, gather: false), PartyOf((3, Many), 0, gather: false)];
            await comparison.RunAsync([.. parties], cancellation);
        }

        var costs = CostsOf(Median);
        comparison.Notes.Add(
            $"under the lock {costs.Locked * 1e3:0.00} ms and {costs.LockedPerEvent * 1e6:0.0} us an event, " +
            $"outside it {costs.Outside * 1e3:0.00} ms and {costs.OutsidePerEvent * 1e6:0.0} us an event");
        foreach (var delay in delays)
        {
            foreach (var (silos, callers) in Points)
            {
                var (computed, _) = JournalModel.Run(costs.WithCommitLater(delay / 1e3), silos, callers, ManyWriters.BatchEvents);
                var name = NameOf(silos, callers, delay);
                comparison.Add(new($"{name}, computed", computed, "events/s"));
                comparison.Add(new($"{name}, computed / measured", computed / Median(name), "x"));
            }
        }

        Party PartyOf((int Silos, int Callers) point, int delay, bool gather) => writers.Party(
            NameOf(point.Silos, point.Callers, delay) + (gather ? "" : AtOnce), point.Silos, point.Callers, gather);

        double Median(string figure) => comparison.Figures.Single(f => f.Name == figure).Median;
    }

    private static string NameOf(int silos, int callers, int delay) =>
        $"{silos} silo{(silos > 1 ? "s" : "")}, {callers} in flight, +{delay} ms";

    // With three writers that make each call at once the lock is never free, so one batch after the other is what it is held for; what one
    // writer alone takes longer is spent outside. Two sizes of batch each tell the part that goes by event.
    private static JournalCosts CostsOf(Func<string, double> median)
    {
        var (locked, lockedPerEvent) = Line(Batch(3, Few, AtOnce), Batch(3, Many, AtOnce));
        var (cycle, cyclePerEvent) = Line(Batch(1, Few, ""), Batch(1, Many, ""));
        return new(
            locked, lockedPerEvent, Math.Max(0, cycle - locked), Math.Max(0, cyclePerEvent - lockedPerEvent));

        (double Events, double Seconds) Batch(int silos, int callers, string how)
        {
            var name = NameOf(silos, callers, 0) + how;
            var events = median($"{name}, events a batch");
            return (events, events / median(name));
        }

        static (double Fixed, double PerEvent) Line((double Events, double Seconds) small, (double Events, double Seconds) large)
        {
            var perEvent = Math.Max(0, (large.Seconds - small.Seconds) / Math.Max(1, large.Events - small.Events));
            return (Math.Max(0, small.Seconds - small.Events * perEvent), perEvent);
        }
    }
}
