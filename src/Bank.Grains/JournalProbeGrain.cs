using Bank.Contracts;
using Orleans.Concurrency;
using Orleans.EventSourcing.Postgres;

namespace Bank.Grains;

/// <summary>
/// Asks this silo's writer a question: it is answered under the lock that every append takes, and only if the silo may still write.
/// </summary>
[StatelessWorker(1), Reentrant]
[GrainType("journal_probe")]
public sealed class JournalProbeGrain(IJournal journal) : Grain, IJournalProbeGrain
{
    // No such stream is ever written, so the answer is always "version 0".
    private const string AnyStream = "health";

    public async Task<ReplyStatus> Ask() => await journal.AskAsync(new(AnyStream, null)) switch
    {
        Answer.Confirmed => ReplyStatus.Done,
        Answer.Overloaded => ReplyStatus.Overloaded,
        _ => ReplyStatus.JournalUnavailable,
    };
}
