using System.Diagnostics;
using Bank.Contracts;
using Orleans.EventSourcing.Postgres;

namespace Bank.Grains;

/// <summary>What the journal's failures are called in replies.</summary>
internal static class ReplyStatuses
{
    /// <summary>The status of an outcome that is neither recorded nor confirmed.</summary>
    public static ReplyStatus Of(AppendOutcome failed) => failed switch
    {
        AppendOutcome.IdReused => ReplyStatus.KeyReused,
        AppendOutcome.Conflict => ReplyStatus.VersionConflict,
        AppendOutcome.Overloaded => ReplyStatus.Overloaded,
        AppendOutcome.Unavailable => ReplyStatus.JournalUnavailable,
        AppendOutcome.Unknown => ReplyStatus.OutcomeUnknown,
        AppendOutcome.Invalid invalid => throw new InvalidOperationException("PostgreSQL refuses the event: " + invalid.Reason),
        _ => throw new UnreachableException(failed.ToString()),
    };
}
