using Bank.Gateway.Problems;
using Orleans.EventSourcing.Postgres;

namespace Bank.Gateway;

/// <summary>How long requests wait, and for what.</summary>
internal sealed class Patience(IJournalReader journal, BankGatewayOptions options, TimeProvider time)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(25);

    /// <summary>A grain's answer.</summary>
    /// <exception cref="TimeoutException">It did not come in time; what it was asked for may happen none the less.</exception>
    public Task<T> For<T>(Task<T> answer) => answer.WaitAsync(options.AnswerWithin, time);

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
