using Bank.Gateway.Problems;
using Orleans.EventSourcing.Postgres;

namespace Bank.Gateway;

/// <summary>How long requests wait, and for what.</summary>
internal sealed class Patience(IJournalReader journal, BankGatewayOptions options, TimeProvider time)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(25);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// A grain's answer. It is asked again where its silo, or the way to it, was lost under the call: whatever is asked of grains here has
    /// an id of its own, so that it happens once however often it is asked for.
    /// </summary>
    /// <param name="ask">Asks.</param>
    /// <param name="isDone">
    /// Of a command: whether the reply says that it is done. Only that is believed after a lost call, which may still be on its way to a
    /// grain while a later one is refused.
    /// </param>
    /// <exception cref="TimeoutException">No answer in time, or none to be believed: it may happen none the less.</exception>
    public async Task<T> For<T>(Func<Task<T>> ask, Func<T, bool>? isDone = null)
    {
        var asked = time.GetTimestamp();
        for (var lost = false; ; lost = true)
        {
            var left = options.AnswerWithin - time.GetElapsedTime(asked);
            if (left <= TimeSpan.Zero)
                throw new TimeoutException();
            try
            {
                var reply = await ask().WaitAsync(left, time);
                return !lost || isDone is null || isDone(reply) ? reply : throw new TimeoutException();
            }
            catch (Exception e) when (IsLost(e))
            {
                await Task.Delay(Pause, time);
            }
            catch (JournalUnavailableException e) when (lost && isDone is not null)
            {
                // The grain could not be loaded on another silo; on the one that was lost it may have done it.
                throw new TimeoutException(e.Message, e);
            }
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
