using System.Diagnostics;

namespace Bank.Domain;

/// <summary>The id of a transfer; its stream is <c>transfer-{id}</c>.</summary>
public readonly record struct TransferId(Guid Value)
{
    public const string StreamPrefix = "transfer-";

    public string StreamId => $"{StreamPrefix}{Value:D}";

    public static bool TryParse(ReadOnlySpan<char> text, out TransferId id)
    {
        var parsed = Uuid.TryParse(text, out var value);
        id = new(value);
        return parsed;
    }

    public static bool TryParseStream(ReadOnlySpan<char> streamId, out TransferId id)
    {
        id = default;
        return streamId.StartsWith(StreamPrefix) && TryParse(streamId[StreamPrefix.Length..], out id);
    }

    public override string ToString() => Value.ToString("D");
}

/// <summary>The steps of a transfer. Each has one recorded outcome, for ever, since its id does not depend on how it ends.</summary>
public enum TransferStep
{
    /// <summary>At the source: sent or declined.</summary>
    Source,

    /// <summary>At the destination: received or declined.</summary>
    Destination,

    /// <summary>At the source, of what the destination declined: returned.</summary>
    Return,

    /// <summary>In the transfer: rejected, completed, or the return decided.</summary>
    Outcome,

    /// <summary>In the transfer, after a return: failed.</summary>
    End,
}

public static class TransferStepName
{
    /// <summary>The stable name, from which the step's id is made.</summary>
    public static string Name(this TransferStep step) => step switch
    {
        TransferStep.Source => "source",
        TransferStep.Destination => "destination",
        TransferStep.Return => "return",
        TransferStep.Outcome => "outcome",
        TransferStep.End => "end",
        _ => throw new UnreachableException($"{step} is no step"),
    };
}

// ---- the one command that a client sends; everything after it follows from what is recorded

/// <param name="Currency">That of the source, which has been asked.</param>
public sealed record RequestTransfer(AccountId From, AccountId To, Money Amount, Currency Currency, string Description);

// ---- events

/// <summary>An event that takes a transfer further, in its own stream or in that of an account.</summary>
public interface ITransferStep;

public abstract record TransferEvent : ITransferStep;

public sealed record TransferRequested(
    AccountId FromAccountId, AccountId ToAccountId, Money Amount, Currency Currency, string Description) : TransferEvent;

/// <summary>The source declined. No money moved.</summary>
public sealed record TransferRejected(Refusal Reason) : TransferEvent;

/// <summary>The destination declined what the source had sent: it goes back.</summary>
public sealed record ReturnDecided(Refusal Reason) : TransferEvent;

/// <summary>The money is back at the source.</summary>
public sealed record TransferFailed(Refusal Reason) : TransferEvent;

/// <summary>The money is at the destination.</summary>
public sealed record TransferCompleted : TransferEvent;

// ---- state

/// <summary>The last step that is known of a transfer.</summary>
public enum TransferProgress
{
    Requested,
    DeclinedBySource,
    Sent,
    DeclinedByDestination,
    ReturnDecided,
    Returned,
    Received,
    Rejected,
    Failed,
    Completed,
}

/// <summary>What a transfer still has to do.</summary>
public enum TransferPhase
{
    /// <summary>No money has moved.</summary>
    Sending,

    /// <summary>The money is in flight to the destination.</summary>
    Receiving,

    /// <summary>The money is in flight, on its way back.</summary>
    Returning,

    /// <summary>The money is where it stays; only the transfer itself has to record it.</summary>
    Completing,

    Ended,
}

/// <summary>What a client sees.</summary>
public enum TransferStatus
{
    Running,
    Completed,
    Rejected,
    Failed,
}

/// <param name="Request">The recorded request, which all steps work from.</param>
/// <param name="Progress">The last step that is known.</param>
/// <param name="Reason">Why the source or the destination declined.</param>
public sealed record TransferState(TransferRequested Request, TransferProgress Progress, Refusal? Reason);

/// <summary>The stable words for what a client sees.</summary>
public static class TransferStatusName
{
    public static string Name(this TransferStatus status) => status switch
    {
        TransferStatus.Running => "running",
        TransferStatus.Completed => "completed",
        TransferStatus.Rejected => "rejected",
        TransferStatus.Failed => "failed",
        _ => throw new UnreachableException($"{status} is no status of a transfer"),
    };

    public static string Name(this TransferPhase phase) => phase switch
    {
        TransferPhase.Sending => "sending",
        TransferPhase.Receiving => "receiving",
        TransferPhase.Returning => "returning",
        TransferPhase.Completing => "completing",
        TransferPhase.Ended => "ended",
        _ => throw new UnreachableException($"{phase} is no phase of a transfer"),
    };
}

// ---- decisions

/// <summary>
/// What a driver is to do next. It does it under the id of <see cref="Step"/> and folds the event that it finds recorded.
/// </summary>
public abstract record TransferAction(TransferStep Step)
{
    /// <summary>Ask the destination, put its answer into the command, and give that to the source.</summary>
    public sealed record Send(AccountId Source, SendTransfer Command) : TransferAction(TransferStep.Source);

    public sealed record Receive(AccountId Destination, ReceiveTransfer Command) : TransferAction(TransferStep.Destination);

    public sealed record Return(AccountId Source, ReturnTransfer Command) : TransferAction(TransferStep.Return);

    /// <summary>Record this in the transfer's own stream.</summary>
    public sealed record Record(TransferEvent Event, TransferStep Step) : TransferAction(Step);
}

/// <summary>
/// A transfer: a saga whose state is the fold of its steps. Those in its own stream fold alone, too: what is left out lies in the streams
/// of the two accounts, and a driver that begins anew finds it there, by asking for the steps again under their ids.
/// </summary>
public static class Transfer
{
    /// <summary>The state after a step; null is a transfer that was never requested.</summary>
    /// <exception cref="UnreachableException">No transfer ever was in a state in which this step can follow.</exception>
    public static TransferState Evolve(TransferState? state, ITransferStep step)
    {
        return (state?.Progress, step) switch
        {
            (null, TransferRequested e) => new(e, TransferProgress.Requested, null),
            (TransferProgress.Requested, TransferSent) => To(TransferProgress.Sent),
            (TransferProgress.Requested, TransferDeclined e) => To(TransferProgress.DeclinedBySource, e.Reason),
            (TransferProgress.Sent, TransferReceived) => To(TransferProgress.Received),
            (TransferProgress.Sent, TransferDeclined e) => To(TransferProgress.DeclinedByDestination, e.Reason),
            (TransferProgress.ReturnDecided, TransferReturned) => To(TransferProgress.Returned),
            (TransferProgress.Requested or TransferProgress.DeclinedBySource, TransferRejected e) =>
                To(TransferProgress.Rejected, e.Reason),
            (TransferProgress.Requested or TransferProgress.DeclinedByDestination, ReturnDecided e) =>
                To(TransferProgress.ReturnDecided, e.Reason),
            (TransferProgress.ReturnDecided or TransferProgress.Returned, TransferFailed e) => To(TransferProgress.Failed, e.Reason),
            (TransferProgress.Requested or TransferProgress.Received, TransferCompleted) => To(TransferProgress.Completed),
            _ => throw new UnreachableException($"{step} cannot happen to {state}"),
        };

        TransferState To(TransferProgress progress, Refusal? reason = null) =>
            state! with { Progress = progress, Reason = reason ?? state.Reason };
    }

    public static TransferPhase Phase(TransferState state) => state.Progress switch
    {
        TransferProgress.Requested => TransferPhase.Sending,
        TransferProgress.Sent => TransferPhase.Receiving,
        TransferProgress.DeclinedByDestination or TransferProgress.ReturnDecided => TransferPhase.Returning,
        TransferProgress.DeclinedBySource or TransferProgress.Received or TransferProgress.Returned => TransferPhase.Completing,
        TransferProgress.Rejected or TransferProgress.Failed or TransferProgress.Completed => TransferPhase.Ended,
        _ => throw Unknown(state),
    };

    /// <summary>A transfer whose money has arrived shows as completed, although its own stream may not say so yet.</summary>
    public static TransferStatus Status(TransferState state) => state.Progress switch
    {
        TransferProgress.Received or TransferProgress.Completed => TransferStatus.Completed,
        TransferProgress.Rejected => TransferStatus.Rejected,
        TransferProgress.Failed => TransferStatus.Failed,
        _ => TransferStatus.Running,
    };

    /// <summary>
    /// Whether there is a transfer to record. What the source and the destination refuse is no refusal here: it is recorded as declined.
    /// </summary>
    public static Decision<TransferEvent, Refusal> Decide(TransferState? state, RequestTransfer command)
    {
        if (state is not null)
            return new Decision<TransferEvent, Refusal>.AlreadyDone();
        if (!command.Amount.TryRescale(command.Currency.Digits, out var amount) || amount.MinorUnits is <= 0 or > Limits.Amount)
            return Refusal.InvalidAmount;
        if (command.From == command.To)
            return Refusal.SameAccount;
        return new TransferRequested(command.From, command.To, amount, command.Currency, command.Description);
    }

    /// <summary>What is to be done next; null once the transfer has ended.</summary>
    public static TransferAction? Next(TransferId id, TransferState state)
    {
        var (request, progress, reason) = state;
        var (from, to, amount, currency, description) = request;
        return progress switch
        {
            TransferProgress.Requested => new TransferAction.Send(from, new(id, to, amount, currency, description, null)),
            TransferProgress.Sent => new TransferAction.Receive(to, new(id, from, amount, currency, description)),
            TransferProgress.ReturnDecided => new TransferAction.Return(from, new(id, to, amount, description)),
            TransferProgress.DeclinedBySource => new TransferAction.Record(new TransferRejected(reason!.Value), TransferStep.Outcome),
            TransferProgress.DeclinedByDestination =>
                new TransferAction.Record(new ReturnDecided(reason!.Value), TransferStep.Outcome),
            TransferProgress.Received => new TransferAction.Record(new TransferCompleted(), TransferStep.Outcome),
            TransferProgress.Returned => new TransferAction.Record(new TransferFailed(reason!.Value), TransferStep.End),
            TransferProgress.Rejected or TransferProgress.Failed or TransferProgress.Completed => null,
            _ => throw Unknown(state),
        };
    }

    /// <summary>
    /// Whether a step of the transfer's own stream can still be recorded there, by what that stream alone says; if not, it is recorded.
    /// </summary>
    public static bool Awaits(TransferState? own, TransferStep step) => (own?.Progress, step) is
        (TransferProgress.Requested, TransferStep.Outcome) or (TransferProgress.ReturnDecided, TransferStep.End);

    private static UnreachableException Unknown(TransferState state) => new($"{state.Progress} is no progress of a transfer");
}
