using Bank.Gateway.Problems;
using Orleans.EventSourcing.Postgres;

namespace Bank.Gateway;

/// <summary>How long requests wait, and for what.</summary>
internal sealed class Patience(
    IJournalReader journal, SiloLosses losses, Standstill standstill, BankGatewayOptions options, TimeProvider time)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(25);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <summary>A grain's answer to a question, which is asked again where a silo was lost that it may have gone through.</summary>
    /// <param name="ask">Asks.</param>
    /// <exception cref="TimeoutException">No answer in time.</exception>
    public Task<T> For<T>(Func<Task<T>> ask) => For(_ => ask(), static _ => true);

    /// <summary>
    /// A grain's answer to a command, which is asked for again where the call was lost, and where a silo was lost that the call may have
    /// gone through. It has an id of its own, so it happens once however often it is asked for.
    /// </summary>
    /// <param name="ask">Asks. Each call is sent later than the one before, and says so.</param>
    /// <param name="isDone">
    /// Whether the reply says that it is done; null where it is neither done nor refused. A refusal is believed of the latest call only:
    /// whoever has given it does not do those any more that were sent before.
    /// </param>
    /// <exception cref="TimeoutException">No answer in time, or none to be believed: it may happen none the less.</exception>
    /// <exception cref="RequestRefusedException">Nothing was asked, after a standstill.</exception>
    public async Task<T> For<T>(Func<DateTimeOffset, Task<T>> ask, Func<T, bool?> isDone)
    {
        var began = time.GetTimestamp();
        var (made, sent) = (0, DateTimeOffset.MinValue);
        List<Task<T>> calls = [];
        var loss = Ask();
        while (true)
        {
            var left = options.AnswerWithin - time.GetElapsedTime(began);
            if (left <= TimeSpan.Zero)
                throw new TimeoutException();
            var any = calls is [var only] ? (Task)only : Task.WhenAny(calls);
            await any.WaitAsync(left, time, loss).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (calls.Find(call => call.IsCompleted) is not { } ended)
            {
                if (loss.IsCancellationRequested)
                    loss = Ask();
                continue;
            }

            var isLatest = ended == calls[^1];
            calls.Remove(ended);
            try
            {
                var reply = await ended;
                var done = isDone(reply);
                if (done == true || isLatest && (done == false || made == 1))
                    return reply;
                if (isLatest)
                    throw new TimeoutException();
            }
            catch (Exception e) when (!isLatest && (IsLost(e) || e is JournalUnavailableException))
            {
                // A later call knows more.
            }
            catch (Exception e) when (IsLost(e))
            {
                await Task.Delay(Pause, time);
                loss = Ask();
            }
            catch (JournalUnavailableException) when (made > 1)
            {
                // The grain could not be loaded here; elsewhere an earlier call may have done it.
                throw new TimeoutException();
            }
        }

        CancellationToken Ask()
        {
            // Its time first: a call that is sent late, because all stood still after this, says so by it.
            var now = time.GetUtcNow();
            // Its client may have asked elsewhere meanwhile, and been refused.
            if (standstill.HasJustEnded)
                throw made > 0 ? new TimeoutException() : new RequestRefusedException(new(ProblemCode.Overloaded));
            sent = now > sent ? now : sent.AddTicks(1);
            made++;
            var next = losses.Next;
            calls.Add(ask(sent));
            return next;
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
