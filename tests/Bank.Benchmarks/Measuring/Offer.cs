using System.Diagnostics;

namespace Bank.Benchmarks.Measuring;

/// <summary>An open load: so many operations a second, whether or not those before have been answered.</summary>
internal static class Offer
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(2);

    /// <summary>Offers until told to stop, and waits for the answers.</summary>
    /// <param name="perSecond">The rate.</param>
    /// <param name="operation">One operation, by its number from 0; what it throws ends the run.</param>
    /// <param name="stop">Ends the offering.</param>
    public static async Task<LoadResult> RunAsync(int perSecond, Func<int, Task> operation, CancellationToken stop)
    {
        var started = Stopwatch.GetTimestamp();
        var answers = new List<Task<TimeSpan>>();
        using (var timer = new PeriodicTimer(Tick))
        {
            do
            {
                var due = (int)(Stopwatch.GetElapsedTime(started).TotalSeconds * perSecond);
                while (answers.Count < due)
                    answers.Add(TimedAsync(answers.Count));
            }
            while (!stop.IsCancellationRequested && await timer.WaitForNextTickAsync(CancellationToken.None));
        }

        var latencies = await Task.WhenAll(answers);
        return new(answers.Count / Stopwatch.GetElapsedTime(started).TotalSeconds, [.. latencies.Order()]);

        async Task<TimeSpan> TimedAsync(int number)
        {
            var asked = Stopwatch.GetTimestamp();
            await operation(number);
            return Stopwatch.GetElapsedTime(asked);
        }
    }
}
