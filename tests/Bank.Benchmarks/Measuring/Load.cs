using System.Diagnostics;

namespace Bank.Benchmarks.Measuring;

/// <summary>What a load has met.</summary>
/// <param name="PerSecond">Operations that ended, per second.</param>
/// <param name="Latencies">Of each, sorted.</param>
internal sealed record LoadResult(double PerSecond, IReadOnlyList<TimeSpan> Latencies)
{
    /// <summary>The latency that this share of the operations did not exceed, in milliseconds.</summary>
    public double Milliseconds(double share) =>
        Latencies[Math.Min((int)(share * Latencies.Count), Latencies.Count - 1)].TotalMilliseconds;

    /// <summary>Rate and latencies as samples of a party.</summary>
    public IReadOnlyList<Sample> Samples(string party, string unit) =>
    [
        new(party, PerSecond, unit),
        new($"{party}, p50", Milliseconds(0.5), "ms"),
        new($"{party}, p99", Milliseconds(0.99), "ms"),
        new($"{party}, p99.9", Milliseconds(0.999), "ms"),
    ];
}

/// <summary>A closed loop: so many callers in this process, each of whom asks again when it has been answered.</summary>
internal static class Load
{
    /// <param name="callers">How many are in flight.</param>
    /// <param name="duration">After which nobody asks again.</param>
    /// <param name="operation">One operation of a caller, 0 up to <paramref name="callers"/>; what it throws ends the run.</param>
    /// <param name="cancellation">Ends the run.</param>
    public static async Task<LoadResult> RunAsync(
        int callers, TimeSpan duration, Func<int, Task> operation, CancellationToken cancellation)
    {
        var started = Stopwatch.GetTimestamp();
        var end = started + (long)(duration.TotalSeconds * Stopwatch.Frequency);
        var taken = await Task.WhenAll(Enumerable.Range(0, callers).Select(caller => Task.Run(() => CallAsync(caller), cancellation)));
        var elapsed = Stopwatch.GetElapsedTime(started);
        var latencies = taken.SelectMany(ticks => ticks).Order().Select(ticks => Stopwatch.GetElapsedTime(0, ticks)).ToList();
        return new(latencies.Count / elapsed.TotalSeconds, latencies);

        async Task<List<long>> CallAsync(int caller)
        {
            var latencies = new List<long>();
            for (var now = Stopwatch.GetTimestamp(); now < end && !cancellation.IsCancellationRequested;)
            {
                await operation(caller).ConfigureAwait(false);
                var answered = Stopwatch.GetTimestamp();
                latencies.Add(answered - now);
                now = answered;
            }

            cancellation.ThrowIfCancellationRequested();
            return latencies;
        }
    }
}
