using System.Diagnostics;
using Bank.Contracts;
using Bank.Domain;
using Orleans.Concurrency;
using Orleans.EventSourcing.Postgres;

namespace Bank.Grains.Accounts;

/// <summary>One account: each command is decided, appended, answered.</summary>
[Reentrant]
[GrainType("account")]
[JournalStream("account")]
public sealed partial class BankAccountGrain(BankOptions options, BankMetrics metrics)
    : PostgresJournaledGrain<AccountView, AccountEvent>, IBankAccountGrain
{
    // Longer than a call lives, and than a frozen silo takes part in the cluster.
    private static readonly TimeSpan RefusalsKeptFor = TimeSpan.FromMinutes(1);
    private const int RefusalsKept = 10_000;

    // Commands that were refused of late, and when the attempt that was told so had been sent. A refusal records nothing, so a copy of the
    // command that was sent before, and comes only now (a frozen silo that wakes up passes on what was sent through it), would be done.
    private readonly Dictionary<Guid, DateTimeOffset> _refused = [];
    private readonly Queue<(Guid CommandId, DateTimeOffset SentAt)> _refusals = [];

    public Task<CommandReply> Open(string ownerName, string currency, AmountText initialDeposit, CommandContext context) =>
        Currency.TryParse(currency, out var known)
            ? Execute(new OpenAccount(ownerName, context.Principal, known, Of(initialDeposit)), context, "initial_deposit")
            : Task.FromResult(new CommandReply(ReplyStatus.Malformed, "currency"));

    public Task<CommandReply> Deposit(AmountText amount, string description, CommandContext context) =>
        Execute(new Deposit(Of(amount), description), context);

    public Task<CommandReply> Withdraw(AmountText amount, string description, CommandContext context) =>
        Execute(new Withdraw(Of(amount), description), context);

    public Task<CommandReply> Close(string reason, CommandContext context) => Execute(new CloseAccount(reason), context);

    public async Task<ReadReply> Read() => await ExecuteAsync(default, static (_, _) => []) switch
    {
        AppendOutcome.Confirmed when Version == 0 => new(ReplyStatus.Done, null),
        AppendOutcome.Confirmed confirmed => new(ReplyStatus.Done, new(
            State.State.OwnerName,
            State.State.Balance.MinorUnits,
            State.State.Currency.Code,
            State.State.Status == AccountStatus.Closed,
            Version,
            FirstRecordedAt,
            LastRecordedAt,
            Math.Max(confirmed.Head.Value, LastPosition.Value))),
        var failed => new(ReplyStatuses.Of(failed), null),
    };

    protected override AccountView CreateView() => new() { State = Account.Initial(options.RecentCommands) };

    protected override void TransitionState(AccountView state, AccountEvent @event, Guid commandId) =>
        state.State = Account.Evolve(state.State, @event, commandId);

    private async Task<CommandReply> Execute(AccountCommand command, CommandContext context, string amountField = "amount")
    {
        Decision<AccountEvent, Refusal>? decision = null;
        var (stale, late) = (false, false);
        var outcome = await ExecuteAsync(context.Identify(CommandHash.Of(command)), (view, version) =>
        {
            late = _refused.TryGetValue(context.CommandId, out var refused) && context.SentAt < refused;
            if (late)
                return [];
            decision = Account.Decide(view.State, command, context.CommandId);
            // What was done before, what does not exist and what makes no sense is said first: the version is of no interest there.
            stale = decision is not (Decision<AccountEvent, Refusal>.AlreadyDone
                    or Decision<AccountEvent, Refusal>.Refused { Refusal: Refusal.AccountNotFound or Refusal.InvalidAmount })
                && context.IfMatch is { } expected && expected != version;
            if (stale || decision is Decision<AccountEvent, Refusal>.Refused)
                Remember(context);
            return decision is Decision<AccountEvent, Refusal>.Accepted accepted && !stale ? accepted.Events : [];
        });
        var reply = (outcome, decision) switch
        {
            (AppendOutcome.Appended a, Decision<AccountEvent, Refusal>.Accepted { Events: [.., var last] }) => Done(
                context.CommandId, last, a.Last.Version, a.LastPosition, replayed: false),
            (AppendOutcome.AlreadyAppended { Recorded: [var first, ..] recorded }, _) => Done(
                first.EventId, Decode(recorded[^1]), recorded[^1].Version, recorded[^1].Position, replayed: true),
            (AppendOutcome.Confirmed, _) when late => new(ReplyStatus.OutcomeUnknown),
            (AppendOutcome.Confirmed, _) when stale => new(ReplyStatus.PreconditionFailed, Version: Version),
            (AppendOutcome.Confirmed, Decision<AccountEvent, Refusal>.Refused { Refusal: Refusal.InvalidAmount }) => new(
                ReplyStatus.Malformed, amountField),
            (AppendOutcome.Confirmed, Decision<AccountEvent, Refusal>.Refused refused) => new(
                ReplyStatus.Refused, refused.Refusal.Code()),
            (AppendOutcome.Confirmed, var unsaid) => throw new UnreachableException($"{unsaid} of {StreamId} is not in the journal"),
            // It is not this attempt that has done it: that it was done is known, and cannot be confirmed.
            (not AppendOutcome.IdReused, Decision<AccountEvent, Refusal>.AlreadyDone) => new(ReplyStatus.OutcomeUnknown),
            var (failed, _) => new(ReplyStatuses.Of(failed)),
        };
        metrics.Ended(Kind(command), reply.Status);
        return reply;
    }

    private void Remember(CommandContext context)
    {
        if (context.SentAt is not { } sent)
            return;
        _refused[context.CommandId] = sent;
        _refusals.Enqueue((context.CommandId, sent));
        while (_refusals.Count > RefusalsKept || _refusals.Peek().SentAt < sent - RefusalsKeptFor)
        {
            // Unless it was refused again since.
            var (id, at) = _refusals.Dequeue();
            if (_refused.TryGetValue(id, out var last) && last == at)
                _refused.Remove(id);
        }
    }

    private CommandReply Done(Guid eventId, AccountEvent last, long version, Position position, bool replayed) => new(
        ReplyStatus.Done,
        EventId: eventId,
        BalanceMinorUnits: last is MoneyMoved moved ? moved.BalanceAfter.MinorUnits : 0,
        Currency: State.State.Currency.Code,
        Version: version,
        Position: position.Value,
        Replayed: replayed);

    private static string Kind(AccountCommand command) => command switch
    {
        OpenAccount => "open",
        Domain.Deposit => "deposit",
        Domain.Withdraw => "withdraw",
        CloseAccount => "close",
        _ => throw new UnreachableException($"{command.GetType()} is no client's command"),
    };

    private static Money Of(AmountText amount) => new(amount.Unscaled, amount.Digits);
}
