using Bank.Gateway.Problems;
using Orleans.EventSourcing.Postgres;

namespace Bank.Gateway;

/// <summary>How long requests wait, and for what.</summary>
internal sealed class Patience(IJournalReader journal, BankGatewayOptions options, TimeProvider time)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(25);
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// A grain's answer. It is asked again where its silo is lost, or silent for too long: whatever is asked of grains here has an id of
    /// its own, so that it happens once however often it is asked for, and the first answer of any attempt is the answer.
    /// </summary>
    /// <exception cref="TimeoutException">It did not come in time; what it was asked for may happen none the less.</exception>
    public async Task<T> For<T>(Func<Task<T>> ask)
    {
        var asked = time.GetTimestamp();
        var attempts = new List<Task<T>> { ask() };
        var pause = options.AskAgainAfter;
        while (true)
        {
            var left = options.AnswerWithin - time.GetElapsedTime(asked);
            if (left <= TimeSpan.Zero)
                throw new TimeoutException();
            Task first = Task.WhenAny(attempts);
            await first.WaitAsync(pause < left ? pause : left, time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (attempts.Find(attempt => attempt.IsCompleted) is not { } ended)
            {
                // Silent: perhaps its silo is gone and nobody knows yet, or the way to it is.
                attempts.Add(ask());
                pause *= 2;
                continue;
            }

            if (!ended.IsFaulted || !IsLost(ended.Exception.InnerException!))
                return await ended;
            attempts.Remove(ended);
            if (attempts.Count > 0)
                continue;
            await Task.Delay(ShortestPause, time);
            attempts.Add(ask());
        }
    }

    // The silo, the way to it, or its activation went away under the call.
    private static bool IsLost(Exception e) => e is OrleansException or OperationCanceledException;

    /// <summary>The head of the journal, once the position has been recorded.</summary>
    /// <exception cref="RequestRefusedException">It was not recorded in time.</exception>
    public async Task<Position> ForPosition(long position, CancellationToken cancellation)
    {
        var asked = time.GetTimestamp();
        while (true)
        {
            var head = await journal.ReadHeadAsync(cancellation);
            if (head.Value >= position)
                return head;
            if (time.GetElapsedTime(asked) >= options.PositionWithin)
                throw new RequestRefusedException(new(ProblemCode.ReadModelBehind));
            await Task.Delay(PollInterval, time, cancellation);
        }
    }
}
