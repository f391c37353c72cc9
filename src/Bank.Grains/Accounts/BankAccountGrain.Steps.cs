using System.Diagnostics;
using Bank.Contracts;
using Bank.Domain;
using Orleans.EventSourcing.Postgres;

namespace Bank.Grains.Accounts;

/// <summary>The account's part in transfers.</summary>
public sealed partial class BankAccountGrain : IAccountSteps
{
    // An account that exists never ceases to, nor changes its currency, so a yes needs no confirmation.
    public async Task<AskReply> AskSource() => State.State.Status != AccountStatus.Unopened
        ? new(ReplyStatus.Done, Currency: State.State.Currency.Code)
        : await ExecuteAsync(default, static (_, _) => []) switch
        {
            AppendOutcome.Confirmed when State.State.Status == AccountStatus.Unopened =>
                new(ReplyStatus.Done, Refusal.AccountNotFound.Code()),
            AppendOutcome.Confirmed => new(ReplyStatus.Done, Currency: State.State.Currency.Code),
            var failed => new(ReplyStatuses.Of(failed)),
        };

    // A yes is decided again when the money comes, but it comes from what is confirmed: an account whose opening is still on its way may
    // never exist, and what was sent to it could neither arrive nor be declined. A no will be recorded at the source, so it must not come
    // from a stale state.
    public async Task<AskReply> AskDestination(long amount, string currency)
    {
        var asked = Currency.Parse(currency);
        Refusal? refusal = RefusalNow(State);
        if (refusal is null)
            return new(ReplyStatus.Done);
        return await ExecuteAsync(default, (view, _) =>
        {
            refusal = RefusalNow(view);
            return [];
        }) switch
        {
            AppendOutcome.Confirmed => new(ReplyStatus.Done, refusal?.Code()),
            var failed => new(ReplyStatuses.Of(failed)),
        };

        Refusal? RefusalNow(AccountView view) => Account.RefusalToReceive(view.State, new(amount, asked.Digits), asked);
    }

    public Task<StepReply> Send(TransferStepRequest step, string? destinationRefusal)
    {
        var currency = Currency.Parse(step.Currency);
        Refusal? refusal = destinationRefusal is null ? null : RefusalCode.Parse(destinationRefusal);
        return Record(
            step,
            new SendTransfer(
                new(step.TransferId), new(step.Counterparty), new(step.Amount, currency.Digits), currency, step.Description, refusal),
            TransferStep.Source,
            Lane.Normal);
    }

    public Task<StepReply> Receive(TransferStepRequest step)
    {
        var currency = Currency.Parse(step.Currency);
        return Record(
            step,
            new ReceiveTransfer(
                new(step.TransferId), new(step.Counterparty), new(step.Amount, currency.Digits), currency, step.Description),
            TransferStep.Destination,
            Lane.Priority);
    }

    public Task<StepReply> Return(TransferStepRequest step) => Record(
        step,
        new ReturnTransfer(
            new(step.TransferId),
            new(step.Counterparty),
            new(step.Amount, Currency.Parse(step.Currency).Digits),
            step.Description),
        TransferStep.Return,
        Lane.Priority);

    private async Task<StepReply> Record(TransferStepRequest step, AccountCommand command, TransferStep which, Lane lane)
    {
        var context = new CommandContext(DerivedId.Step(new(step.TransferId), which), step.CorrelationId);
        Decision<AccountEvent, Refusal>? decision = null;
        var outcome = await ExecuteAsync(context.Identify(CommandHash.Of(command), lane), (view, _) =>
        {
            decision = Account.Decide(view.State, command, context.CommandId);
            return decision is Decision<AccountEvent, Refusal>.Accepted accepted ? accepted.Events : [];
        });
        return (outcome, decision) switch
        {
            (AppendOutcome.Appended a, Decision<AccountEvent, Refusal>.Accepted { Events: [var decided] }) =>
                Of(decided, a.LastPosition),
            // Another driver was here first, and may have been told otherwise by the destination: what is recorded is the outcome.
            (AppendOutcome.AlreadyAppended { Recorded: [var recorded, ..] }, _) => Of(Decode(recorded), recorded.Position),
            (AppendOutcome.IdReused { Recorded: [var recorded, ..] }, _) when recorded.StreamId == StreamId =>
                Of(Decode(recorded), recorded.Position),
            (AppendOutcome.Confirmed or AppendOutcome.IdReused, _) =>
                throw new UnreachableException($"{context.CommandId} of {StreamId}: {outcome}, {decision}"),
            var (failed, _) => new(ReplyStatuses.Of(failed)),
        };

        static StepReply Of(AccountEvent recorded, Position position) => new(
            ReplyStatus.Done,
            Declined: (recorded as TransferDeclined)?.Reason.Code(),
            BalanceMinorUnits: (recorded as MoneyMoved)?.BalanceAfter.MinorUnits,
            Position: position.Value);
    }
}
