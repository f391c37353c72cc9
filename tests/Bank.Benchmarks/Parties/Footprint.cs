using Bank.Benchmarks.Measuring;

namespace Bank.Benchmarks.Parties;

/// <summary>What this process keeps in memory; PostgreSQL is another one.</summary>
internal static class Footprint
{
    private const double Megabyte = 1 << 20;

    /// <summary>After a collection that gives back what it can.</summary>
    public static Party Collected(string name) => new(name, "MB", (_, _) =>
    {
        for (var i = 0; i < 2; i++)
        {
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            GC.WaitForPendingFinalizers();
        }

        return Task.FromResult(Environment.WorkingSet / Megabyte);
    });

    /// <summary>The most that was seen under a load.</summary>
    public static Party Under(string name, LoadParty load) => new(name, async (time, cancellation) =>
    {
        var running = load.LoadAsync(time, cancellation);
        var most = Environment.WorkingSet;
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!running.IsCompleted && await timer.WaitForNextTickAsync(cancellation))
            most = Math.Max(most, Environment.WorkingSet);
        return [new(name, most / Megabyte, "MB"), .. (await running).Samples(load.Name, load.Unit)];
    });
}
