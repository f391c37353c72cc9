using System.Diagnostics;

namespace Bank.Domain;

/// <summary>The id of an account; its stream is <c>account-{id}</c>.</summary>
public readonly record struct AccountId(Guid Value)
{
    public const string StreamPrefix = "account-";

    public string StreamId => $"{StreamPrefix}{Value:D}";

    public static bool TryParse(ReadOnlySpan<char> text, out AccountId id)
    {
        var parsed = Uuid.TryParse(text, out var value);
        id = new(value);
        return parsed;
    }

    public static bool TryParseStream(ReadOnlySpan<char> streamId, out AccountId id)
    {
        id = default;
        return streamId.StartsWith(StreamPrefix) && TryParse(streamId[StreamPrefix.Length..], out id);
    }

    public override string ToString() => Value.ToString("D");
}

// ---- commands. An amount that a client sent has the digits that the client wrote; the account brings it to those of its currency.

public abstract record AccountCommand;

public sealed record OpenAccount(string OwnerName, string? OwnerId, Currency Currency, Money InitialDeposit) : AccountCommand;

public sealed record Deposit(Money Amount, string Description) : AccountCommand;

public sealed record Withdraw(Money Amount, string Description) : AccountCommand;

public sealed record CloseAccount(string Reason) : AccountCommand;

/// <summary>
/// The source's step of a transfer: it records <see cref="TransferSent"/> or <see cref="TransferDeclined"/>. What a destination refused
/// when it was asked is declined here, so that the refusal is recorded where it excludes the sending for ever.
/// </summary>
public sealed record SendTransfer(
    TransferId TransferId, AccountId To, Money Amount, Currency Currency, string Description, Refusal? DestinationRefusal)
    : AccountCommand;

/// <summary>The destination's step: it records <see cref="TransferReceived"/> or <see cref="TransferDeclined"/>.</summary>
public sealed record ReceiveTransfer(
    TransferId TransferId, AccountId From, Money Amount, Currency Currency, string Description) : AccountCommand;

/// <summary>The way back to the source of what the destination declined: it records <see cref="TransferReturned"/>, always.</summary>
public sealed record ReturnTransfer(TransferId TransferId, AccountId From, Money Amount, string Description) : AccountCommand;

// ---- events. Ids, version and time are the journal's.

public abstract record AccountEvent;

/// <summary>An event that moves money says what balance it leaves.</summary>
public abstract record MoneyMoved : AccountEvent
{
    public abstract Money BalanceAfter { get; init; }
}

public sealed record AccountOpened(
    string OwnerName, string? OwnerId, Currency Currency, Money InitialDeposit, Money BalanceAfter) : MoneyMoved;

public sealed record MoneyDeposited(Money Amount, string Description, Money BalanceAfter) : MoneyMoved;

public sealed record MoneyWithdrawn(Money Amount, string Description, Money BalanceAfter) : MoneyMoved;

public sealed record TransferSent(
    TransferId TransferId, AccountId CounterpartyAccountId, Money Amount, string Description, Money BalanceAfter)
    : MoneyMoved, ITransferStep;

/// <summary>This account did not take part, as source or as destination; no money moved.</summary>
public sealed record TransferDeclined(TransferId TransferId, Refusal Reason) : AccountEvent, ITransferStep;

public sealed record TransferReceived(
    TransferId TransferId, AccountId CounterpartyAccountId, Money Amount, string Description, Money BalanceAfter)
    : MoneyMoved, ITransferStep;

public sealed record TransferReturned(
    TransferId TransferId, AccountId CounterpartyAccountId, Money Amount, string Description, Money BalanceAfter)
    : MoneyMoved, ITransferStep;

public sealed record AccountClosed(string Reason) : AccountEvent;

// ---- state

public enum AccountStatus
{
    Unopened,
    Active,
    Closed,
}

public sealed record AccountState(
    AccountStatus Status, string OwnerName, string? OwnerId, Currency Currency, Money Balance, RecentCommands RecentCommands);

/// <summary>An account: what its events make of it, and what a command makes happen.</summary>
public static class Account
{
    /// <summary>The state before the first event.</summary>
    /// <param name="recentCommands">How many command ids the account remembers.</param>
    public static AccountState Initial(int recentCommands = 100) =>
        new(AccountStatus.Unopened, "", null, default, default, RecentCommands.Empty(recentCommands));

    /// <summary>The state after an event of that command.</summary>
    /// <exception cref="UnreachableException">No account ever was in a state in which this event can happen.</exception>
    public static AccountState Evolve(AccountState state, AccountEvent @event, Guid commandId)
    {
        var recent = state.RecentCommands.Add(commandId);
        return (state.Status, @event) switch
        {
            (AccountStatus.Unopened, AccountOpened e) when e.InitialDeposit == e.BalanceAfter => state with
            {
                Status = AccountStatus.Active,
                OwnerName = e.OwnerName,
                OwnerId = e.OwnerId,
                Currency = e.Currency,
                Balance = e.BalanceAfter,
                RecentCommands = recent,
            },
            (AccountStatus.Active, MoneyDeposited e) => Moved(e.Amount, e.BalanceAfter),
            (AccountStatus.Active or AccountStatus.Closed, MoneyWithdrawn e) => Moved(-e.Amount, e.BalanceAfter),
            (AccountStatus.Active, TransferSent e) => Moved(-e.Amount, e.BalanceAfter),
            (AccountStatus.Active, TransferReceived e) => Moved(e.Amount, e.BalanceAfter),
            (AccountStatus.Active or AccountStatus.Closed, TransferReturned e) => Moved(e.Amount, e.BalanceAfter),
            (AccountStatus.Active or AccountStatus.Closed, TransferDeclined) => state with { RecentCommands = recent },
            (AccountStatus.Active, AccountClosed) => state with { Status = AccountStatus.Closed, RecentCommands = recent },
            _ => throw Impossible(),
        };

        AccountState Moved(Money change, Money balanceAfter) => state.Balance + change == balanceAfter
            ? state with { Balance = balanceAfter, RecentCommands = recent }
            : throw Impossible();

        UnreachableException Impossible() => new($"{@event} cannot happen to {state}");
    }

    /// <summary>What the command makes happen. Idempotence comes first, then the refusals in their order.</summary>
    public static Decision<AccountEvent, Refusal> Decide(AccountState state, AccountCommand command, Guid commandId)
    {
        // An account is opened by one command only, whose id is the account's: once it is open, that one is done.
        if (state.RecentCommands.Contains(commandId) || (command is OpenAccount && state.Status != AccountStatus.Unopened))
            return new Decision<AccountEvent, Refusal>.AlreadyDone();
        return command switch
        {
            OpenAccount c => Open(c),
            Deposit c => Deposit(state, c),
            Withdraw c => Withdraw(state, c),
            CloseAccount c => Close(state, c),
            SendTransfer c => Send(state, c),
            ReceiveTransfer c => Receive(state, c),
            ReturnTransfer c => Return(state, c),
            _ => throw new UnreachableException($"{command.GetType()} is no command of an account"),
        };
    }

    /// <summary>
    /// What a destination answers when it is asked before the money leaves the source; null is yes. The answer may have changed when the
    /// money arrives, which is decided by the same rules again.
    /// </summary>
    public static Refusal? RefusalToReceive(AccountState state, Money amount, Currency currency) => state switch
    {
        { Status: AccountStatus.Unopened } => Refusal.DestinationNotFound,
        { Status: AccountStatus.Closed } => Refusal.DestinationClosed,
        _ when state.Currency != currency => Refusal.CurrencyMismatch,
        _ when TooLarge(state.Balance, amount) => Refusal.DestinationBalanceTooLarge,
        _ => null,
    };

    private static Decision<AccountEvent, Refusal> Open(OpenAccount command)
    {
        if (!command.InitialDeposit.TryRescale(command.Currency.Digits, out var deposit) || deposit.MinorUnits is < 0 or > Limits.Amount)
            return Refusal.InvalidAmount;
        return new AccountOpened(command.OwnerName, command.OwnerId, command.Currency, deposit, deposit);
    }

    private static Decision<AccountEvent, Refusal> Deposit(AccountState state, Deposit command)
    {
        if (state.Status == AccountStatus.Unopened)
            return Refusal.AccountNotFound;
        if (!IsAmount(command.Amount, state.Currency, out var amount))
            return Refusal.InvalidAmount;
        if (state.Status == AccountStatus.Closed)
            return Refusal.AccountClosed;
        if (TooLarge(state.Balance, amount))
            return Refusal.BalanceTooLarge;
        return new MoneyDeposited(amount, command.Description, state.Balance + amount);
    }

    private static Decision<AccountEvent, Refusal> Withdraw(AccountState state, Withdraw command)
    {
        if (state.Status == AccountStatus.Unopened)
            return Refusal.AccountNotFound;
        if (!IsAmount(command.Amount, state.Currency, out var amount))
            return Refusal.InvalidAmount;
        // An account is empty when it closes. If there is money in it, a transfer came back since, and its owner may fetch it.
        if (state is { Status: AccountStatus.Closed, Balance.MinorUnits: 0 })
            return Refusal.AccountClosed;
        if (amount > state.Balance)
            return Refusal.InsufficientFunds;
        return new MoneyWithdrawn(amount, command.Description, state.Balance - amount);
    }

    private static Decision<AccountEvent, Refusal> Close(AccountState state, CloseAccount command) => state switch
    {
        { Status: AccountStatus.Unopened } => Refusal.AccountNotFound,
        { Status: AccountStatus.Closed } => Refusal.AccountClosed,
        { Balance.MinorUnits: not 0 } => Refusal.AccountNotEmpty,
        _ => new AccountClosed(command.Reason),
    };

    // A step that is refused is recorded as declined, so that its outcome stands for ever. Only a stream that was never opened stays as it
    // is: nothing is written to it.
    private static Decision<AccountEvent, Refusal> Send(AccountState state, SendTransfer command)
    {
        Refusal? own = state switch
        {
            { Status: AccountStatus.Unopened } => Refusal.AccountNotFound,
            { Status: AccountStatus.Closed } => Refusal.AccountClosed,
            _ when state.Currency != command.Currency => Refusal.CurrencyMismatch,
            _ when command.Amount > state.Balance => Refusal.InsufficientFunds,
            _ => null,
        };
        return (own is null || command.DestinationRefusal < own ? command.DestinationRefusal : own) switch
        {
            Refusal.AccountNotFound => Refusal.AccountNotFound,
            { } refusal => new TransferDeclined(command.TransferId, refusal),
            null => new TransferSent(command.TransferId, command.To, command.Amount, command.Description, state.Balance - command.Amount),
        };
    }

    private static Decision<AccountEvent, Refusal> Receive(AccountState state, ReceiveTransfer command) =>
        RefusalToReceive(state, command.Amount, command.Currency) switch
        {
            Refusal.DestinationNotFound => Refusal.DestinationNotFound,
            { } refusal => new TransferDeclined(command.TransferId, refusal),
            null => new TransferReceived(
                command.TransferId, command.From, command.Amount, command.Description, state.Balance + command.Amount),
        };

    private static Decision<AccountEvent, Refusal> Return(AccountState state, ReturnTransfer command) => state.Status switch
    {
        AccountStatus.Unopened => Refusal.AccountNotFound,
        _ => new TransferReturned(
            command.TransferId, command.From, command.Amount, command.Description, state.Balance + command.Amount),
    };

    private static bool IsAmount(Money sent, Currency currency, out Money amount) =>
        sent.TryRescale(currency.Digits, out amount) && amount.MinorUnits is > 0 and <= Limits.Amount;

    private static bool TooLarge(Money balance, Money amount) => balance.MinorUnits > Limits.Balance - amount.MinorUnits;
}
