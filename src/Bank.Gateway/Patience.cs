using Bank.Gateway.Problems;
using Orleans.EventSourcing.Postgres;

namespace Bank.Gateway;

/// <summary>How long requests wait, and for what.</summary>
internal sealed class Patience(IJournalReader journal, SiloLosses losses, BankGatewayOptions options, TimeProvider time)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(25);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// A grain's answer. It is asked again where the call was lost, and where a silo was lost that the call may have gone through: whatever
    /// is asked of grains here has an id of its own, so that it happens once however often it is asked for.
    /// </summary>
    /// <param name="ask">Asks.</param>
    /// <param name="isDone">
    /// Of a command: whether the reply says that it is done; null where it may be. What says that it is not is believed only when every
    /// call has been answered so: one that was lost may still be on its way to a grain, and be done after another was refused.
    /// </param>
    /// <exception cref="TimeoutException">No answer in time, or none to be believed: it may happen none the less.</exception>
    public async Task<T> For<T>(Func<Task<T>> ask, Func<T, bool?>? isDone = null)
    {
        var (asked, within) = (time.GetTimestamp(), options.AnswerWithin);
        var (lost, refused) = (false, false);
        var loss = losses.Next;
        List<Task<T>> calls = [ask()];
        while (true)
        {
            var left = within - time.GetElapsedTime(asked);
            if (left <= TimeSpan.Zero)
                throw new TimeoutException();
            var any = calls is [var only] ? (Task)only : Task.WhenAny(calls);
            await any.WaitAsync(left, time, refused ? CancellationToken.None : loss)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (calls.Find(call => call.IsCompleted) is not { } ended)
            {
                if (loss.IsCancellationRequested && !refused)
                {
                    loss = losses.Next;
                    calls.Add(ask());
                }

                continue;
            }

            calls.Remove(ended);
            try
            {
                var reply = await ended;
                var done = isDone is null ? true : isDone(reply);
                if (done == true || calls.Count == 0 && !lost)
                    return reply;
                lost |= done is null;
                Refuse();
            }
            catch (Exception e) when (IsLost(e))
            {
                lost = true;
            }
            catch (JournalUnavailableException) when (isDone is not null && (lost || calls.Count > 0))
            {
                // The grain could not be loaded here; elsewhere another call may have done it.
                Refuse();
            }

            if (refused)
            {
                if (calls.Count == 0)
                    throw new TimeoutException();
                continue;
            }

            // Lost; and those before it, which nobody has answered, may have been, too.
            await Task.Delay(Pause, time);
            loss = losses.Next;
            calls.Add(ask());
        }

        // The others have a moment to be refused, too, or to be done.
        void Refuse()
        {
            refused = true;
            var grace = time.GetElapsedTime(asked) + Grace;
            within = grace < within ? grace : within;
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
