using System.Diagnostics;
using Bank.Contracts;
using Bank.Domain;
using Bank.Events;
using Microsoft.Extensions.Logging;
using Orleans.Concurrency;
using Orleans.EventSourcing.Postgres;

namespace Bank.Grains.Transfers;

/// <summary>
/// Drives one transfer. What it knows beyond its own stream lies in the accounts' streams under ids that follow from the transfer's, so it
/// can be interrupted anywhere: to resume is to run the driver again.
/// </summary>
[Reentrant]
[GrainType("transfer")]
[JournalStream("transfer", ExpectNew = true)]
public sealed class TransferGrain(
    IJournal journal, GrainReferences<IAccountSteps> accounts, TimeProvider time, BankOptions options, BankMetrics metrics,
    ILogger<TransferGrain> log)
    : PostgresJournaledGrain<TransferView, TransferEvent>, ITransferGrain
{
    private readonly TaskCompletionSource _settled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TransferState? _known;
    private Task _drive = Task.CompletedTask;
    // Of the request that drives it; null where it is resumed.
    private string? _correlationId;
    private long? _balance;
    private long _position;

    private TransferId Id => new(this.GetPrimaryKey());

    public async Task<TransferReply> Request(Guid from, Guid to, AmountText amount, string description, CommandContext context)
    {
        var reply = await RecordAndDriveAsync(from, to, amount, description, context);
        // No transfer: keys that are made up anew with every request must not fill the memory. (After a failure it may be recorded.)
        if (State.State is null && reply.Status is ReplyStatus.Refused or ReplyStatus.Malformed or ReplyStatus.KeyReused)
            DeactivateOnIdle();
        metrics.Ended("transfer", reply is { Status: ReplyStatus.Done, Code: not null } ? ReplyStatus.Refused : reply.Status);
        return reply;
    }

    public async Task Resume()
    {
        // Who calls has seen the request in the journal. An activation that has not yet looked there, or did before, has to, or it would
        // never drive it, and each call would keep it in memory.
        if (State.State is null)
            await RefreshNow();
        if (State.State is not null)
            Drive(correlationId: null);
    }

    protected override void TransitionState(TransferView state, TransferEvent @event) =>
        state.State = Transfer.Evolve(state.State, @event);

    private async Task<TransferReply> RecordAndDriveAsync(
        Guid from, Guid to, AmountText amount, string description, CommandContext context)
    {
        var currency = State.State?.Request.Currency;
        if (currency is null)
        {
            var source = await accounts.Of(from).AskSource();
            if (source is not { Status: ReplyStatus.Done, Refusal: null })
                return new(source.Refusal is null ? source.Status : ReplyStatus.Refused, source.Refusal);
            currency = Currency.Parse(source.Currency!);
        }

        var command = new RequestTransfer(new(from), new(to), new(amount.Unscaled, amount.Digits), currency.Value, description);
        Decision<TransferEvent, Refusal>? decision = null;
        var outcome = await ExecuteAsync(context.Identify(CommandHash.Of(command)), (view, _) =>
        {
            decision = Transfer.Decide(view.State, command);
            return decision is Decision<TransferEvent, Refusal>.Accepted accepted ? accepted.Events : [];
        });
        switch (outcome)
        {
            case AppendOutcome.Appended appended:
                _position = appended.LastPosition.Value;
                break;
            case AppendOutcome.AlreadyAppended { Recorded: [var recorded, ..] }:
                _position = Math.Max(_position, recorded.Position.Value);
                // Recorded by an activation that this one knows nothing of.
                if (State.State is null)
                    await RefreshNow();
                break;
            case AppendOutcome.Confirmed when decision is Decision<TransferEvent, Refusal>.Refused refused:
                return refused.Refusal == Refusal.InvalidAmount
                    ? new(ReplyStatus.Malformed, "amount")
                    : new(ReplyStatus.Refused, refused.Refusal.Code());
            default:
                return new(ReplyStatuses.Of(outcome));
        }

        Drive(context.CorrelationId);
        try
        {
            await Task.WhenAny(_drive, _settled.Task).WaitAsync(options.TransferAnswerAfter, time);
        }
        catch (TimeoutException)
        {
            // The request is recorded, so the client may be told where to look.
        }

        return await DescribeAsync(replayed: outcome is AppendOutcome.AlreadyAppended);
    }

    private void Drive(string? correlationId)
    {
        _known ??= State.State;
        if (!_drive.IsCompleted)
            return;
        _correlationId = correlationId;
        _drive = DriveAsync();
    }

    private async Task DriveAsync()
    {
        while (Transfer.Next(Id, _known!) is { } action)
        {
            try
            {
                var step = action switch
                {
                    TransferAction.Send send => await SendAsync(send),
                    TransferAction.Receive receive => await ReceiveAsync(receive),
                    TransferAction.Return back => await ReturnAsync(back),
                    TransferAction.Record record => await RecordAsync(record),
                    _ => throw new UnreachableException(action.ToString()),
                };
                if (step is null)
                    return;
                _known = Transfer.Evolve(_known, step);
            }
            catch (Exception e)
            {
                // The step may be recorded or not: whoever runs the driver again finds out. The watchdog does, if nobody else. Whoever
                // waits for this run does not look for its exception, so it must have none.
                log.TransferInterrupted(Id.Value, Transfer.Phase(_known!), _correlationId, e);
                return;
            }

            // A transfer whose money has arrived is completed for its client: that its own stream says so may follow.
            if (Transfer.Status(_known) != TransferStatus.Running)
                _settled.TrySetResult();
        }

        // It will hardly be asked again, and thousands a second end here.
        DeactivateOnIdle();
    }

    private async Task<ITransferStep?> SendAsync(TransferAction.Send send)
    {
        var (id, to, amount, currency, description, _) = send.Command;
        // Asked before the money leaves, so that an account that was never opened, or has closed, costs no way there and back.
        var asked = await accounts.Of(to.Value).AskDestination(amount.MinorUnits, currency.Code);
        if (asked.Status != ReplyStatus.Done)
            return Interrupted(asked.Status);
        var reply = await accounts.Of(send.Source.Value).Send(
            new(id.Value, to.Value, amount.MinorUnits, currency.Code, description, _correlationId), asked.Refusal);
        if (reply.BalanceMinorUnits is { } balance)
            _balance = balance;
        return Learn(reply, balanceAfter => new TransferSent(id, to, amount, description, new(balanceAfter, currency.Digits)));
    }

    private async Task<ITransferStep?> ReceiveAsync(TransferAction.Receive receive)
    {
        var (id, from, amount, currency, description) = receive.Command;
        var reply = await accounts.Of(receive.Destination.Value).Receive(
            new(id.Value, from.Value, amount.MinorUnits, currency.Code, description, _correlationId));
        return Learn(reply, balanceAfter => new TransferReceived(id, from, amount, description, new(balanceAfter, currency.Digits)));
    }

    private async Task<ITransferStep?> ReturnAsync(TransferAction.Return back)
    {
        var (id, to, amount, description) = back.Command;
        var currency = _known!.Request.Currency;
        var reply = await accounts.Of(back.Source.Value).Return(
            new(id.Value, to.Value, amount.MinorUnits, currency.Code, description, _correlationId));
        return Learn(reply, balanceAfter => new TransferReturned(id, to, amount, description, new(balanceAfter, currency.Digits)));
    }

    private async Task<ITransferStep?> RecordAsync(TransferAction.Record record)
    {
        var context = new CommandContext(DerivedId.Step(Id, record.Step), _correlationId);
        // The way back, like the way there, is work whose money is in flight.
        var lane = record.Event is ReturnDecided ? Lane.Priority : Lane.Normal;
        var outcome = await ExecuteAsync(
            context.Identify(CommandHash.Of(record.Event), lane),
            (view, _) => Transfer.Awaits(view.State, record.Step) ? [record.Event] : []);
        switch (outcome)
        {
            case AppendOutcome.Appended appended:
                _position = Math.Max(_position, appended.LastPosition.Value);
                return record.Event;
            // Another driver was here first: what it recorded is the outcome.
            case AppendOutcome.AlreadyAppended { Recorded: [var recorded, ..] }:
                return Found(recorded);
            case AppendOutcome.IdReused { Recorded: [var recorded, ..] } when recorded.StreamId == StreamId:
                return Found(recorded);
            case AppendOutcome.Confirmed or AppendOutcome.IdReused:
                throw new UnreachableException($"{record.Event} of {StreamId}: {outcome}");
            default:
                return Interrupted(ReplyStatuses.Of(outcome));
        }

        ITransferStep Found(RecordedEvent recorded)
        {
            _position = Math.Max(_position, recorded.Position.Value);
            return Decode(recorded);
        }
    }

    private ITransferStep? Learn(StepReply reply, Func<long, ITransferStep> moved)
    {
        if (reply.Status != ReplyStatus.Done)
            return Interrupted(reply.Status);
        _position = Math.Max(_position, reply.Position);
        return reply.Declined is { } code ? new TransferDeclined(Id, RefusalCode.Parse(code)) : moved(reply.BalanceMinorUnits!.Value);
    }

    private ITransferStep? Interrupted(ReplyStatus status)
    {
        log.TransferWaits(Id.Value, Transfer.Phase(_known!), status, _correlationId);
        return null;
    }

    private async Task<TransferReply> DescribeAsync(bool replayed)
    {
        var known = _known!;
        var status = Transfer.Status(known);
        // An activation that began anew may not have come as far yet as an earlier one, which told its client that the money has arrived.
        if (replayed && status == TransferStatus.Running
            && await journal.ReadEventAsync(DerivedId.Step(Id, TransferStep.Destination), CancellationToken.None) is { } ended
            && StoredEvents.Decode(ended) is TransferReceived)
        {
            status = TransferStatus.Completed;
            _position = Math.Max(_position, ended.Position.Value);
        }

        if (_balance is null && (status == TransferStatus.Completed || known.Progress
            is not (TransferProgress.Requested or TransferProgress.DeclinedBySource or TransferProgress.Rejected)))
            await RecallAsync();
        return new(
            ReplyStatus.Done,
            Code: status is TransferStatus.Rejected or TransferStatus.Failed ? known.Reason?.Code() : null,
            Transfer: status.Name(),
            BalanceMinorUnits: _balance,
            Currency: known.Request.Currency.Code,
            Position: Math.Max(_position, LastPosition.Value),
            Replayed: replayed);
    }

    // An activation that finds the transfer ended has not seen the money leave.
    private async Task RecallAsync()
    {
        var sent = await journal.ReadEventAsync(DerivedId.Step(Id, TransferStep.Source), CancellationToken.None);
        if (sent is not null && StoredEvents.Decode(sent) is TransferSent { BalanceAfter: var balance })
            _balance = balance.MinorUnits;
    }
}
