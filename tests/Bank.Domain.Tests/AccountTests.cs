using System.Diagnostics;
using Bank.Domain;
using Accepted = Bank.Domain.Decision<Bank.Domain.AccountEvent, Bank.Domain.Refusal>.Accepted;
using AlreadyDone = Bank.Domain.Decision<Bank.Domain.AccountEvent, Bank.Domain.Refusal>.AlreadyDone;
using Refused = Bank.Domain.Decision<Bank.Domain.AccountEvent, Bank.Domain.Refusal>.Refused;

namespace Bank.Domain.Tests;

public class AccountTests
{
    private static readonly Currency Usd = Currency.Parse("USD");
    private static readonly Currency Eur = Currency.Parse("EUR");
    private static readonly Currency Jpy = Currency.Parse("JPY");
    private static readonly TransferId T = new(new("00000000-0000-0000-0000-0000000000a1"));
    private static readonly AccountId Other = new(new("00000000-0000-0000-0000-0000000000b2"));

    // Named states that the tables speak of.
    private static readonly Dictionary<string, AccountState> States = new()
    {
        ["unopened"] = Account.Initial(4),
        ["empty"] = Opened("0.00"),
        ["100 USD"] = Opened("100.00"),
        ["100 JPY"] = Opened("100", Jpy),
        ["full"] = Opened("0.00") with { Balance = new(Limits.Balance, 2) },
        ["overfull"] = Opened("0.00") with { Balance = new(Limits.Balance + Limits.Amount, 2) },
        ["closed"] = Fold(Opened("0.00"), new AccountClosed("")),
        ["closed, 5 came back"] = Fold(Opened("0.00"), new AccountClosed(""), new TransferReturned(T, Other, M("5.00"), "", M("5.00"))),
    };

    private static Money M(string text) => Money.Parse(text);

    private static AccountState Opened(string deposit, Currency? currency = null) =>
        Fold(Account.Initial(4), new AccountOpened("Ada", null, currency ?? Usd, M(deposit), M(deposit)));

    private static AccountState Fold(AccountState state, params AccountEvent[] events) =>
        events.Aggregate(state, (s, e) => Account.Evolve(s, e, Guid.NewGuid()));

    private static Decision<AccountEvent, Refusal> Decide(string state, AccountCommand command) =>
        Account.Decide(States[state], command, Guid.NewGuid());

    private static SendTransfer Send(string amount, Currency? currency = null, Refusal? destination = null) =>
        new(T, Other, M(amount), currency ?? Usd, "rent", destination);

    private static ReceiveTransfer Receive(string amount, Currency? currency = null) => new(T, Other, M(amount), currency ?? Usd, "rent");

    // One row per refusal, then the rows in which two apply at once and the first of the order wins.
    public static TheoryData<string, AccountCommand, Refusal> Refusals => new()
    {
        { "unopened", new Deposit(M("1"), ""), Refusal.AccountNotFound },
        { "unopened", new Withdraw(M("1"), ""), Refusal.AccountNotFound },
        { "unopened", new CloseAccount(""), Refusal.AccountNotFound },
        { "unopened", Send("1.00"), Refusal.AccountNotFound },
        { "unopened", Receive("1.00"), Refusal.DestinationNotFound },
        { "unopened", new ReturnTransfer(T, Other, M("1.00"), ""), Refusal.AccountNotFound },
        { "unopened", new OpenAccount("Ada", null, Jpy, M("1.5")), Refusal.InvalidAmount },
        { "unopened", new OpenAccount("Ada", null, Usd, M("10000000000000.01")), Refusal.InvalidAmount },
        { "100 USD", new Deposit(M("0"), ""), Refusal.InvalidAmount },
        { "100 USD", new Deposit(-M("1"), ""), Refusal.InvalidAmount },
        { "100 USD", new Deposit(M("1.001"), ""), Refusal.InvalidAmount },
        { "100 JPY", new Deposit(M("1.5"), ""), Refusal.InvalidAmount },
        { "100 JPY", new Deposit(M("1.0"), ""), Refusal.InvalidAmount },
        { "100 USD", new Deposit(M("10000000000000.01"), ""), Refusal.InvalidAmount },
        { "100 USD", new Withdraw(M("0"), ""), Refusal.InvalidAmount },
        { "100 USD", new Withdraw(M("0.001"), ""), Refusal.InvalidAmount },
        { "closed", new Deposit(M("1"), ""), Refusal.AccountClosed },
        { "closed", new Withdraw(M("1"), ""), Refusal.AccountClosed },
        { "closed", new CloseAccount(""), Refusal.AccountClosed },
        { "100 USD", new Withdraw(M("100.01"), ""), Refusal.InsufficientFunds },
        { "full", new Deposit(M("0.01"), ""), Refusal.BalanceTooLarge },
        { "overfull", new Deposit(M("0.01"), ""), Refusal.BalanceTooLarge },
        { "100 USD", new CloseAccount(""), Refusal.AccountNotEmpty },

        { "unopened", new Deposit(M("0"), ""), Refusal.AccountNotFound },
        { "closed", new Deposit(M("0"), ""), Refusal.InvalidAmount },
        { "closed", new Withdraw(M("0"), ""), Refusal.InvalidAmount },
        { "full", new Deposit(M("10000000000000.01"), ""), Refusal.InvalidAmount },
        { "closed, 5 came back", new Withdraw(M("5.01"), ""), Refusal.InsufficientFunds },
        { "closed, 5 came back", new Deposit(M("1"), ""), Refusal.AccountClosed },
        { "closed, 5 came back", new CloseAccount(""), Refusal.AccountClosed },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public void What_breaks_a_rule_is_refused(string state, AccountCommand command, Refusal refusal) =>
        Assert.Equal(new Refused(refusal), Decide(state, command));

    // Steps of a transfer that are refused are recorded, so that the outcome stands.
    public static TheoryData<string, AccountCommand, Refusal> Declines => new()
    {
        { "closed", Send("1.00"), Refusal.AccountClosed },
        { "closed, 5 came back", Send("1.00"), Refusal.AccountClosed },
        { "100 USD", Send("1.00", Eur), Refusal.CurrencyMismatch },
        { "100 USD", Send("1", Jpy), Refusal.CurrencyMismatch },
        { "100 USD", Send("100.01"), Refusal.InsufficientFunds },
        { "100 USD", Send("1.00", destination: Refusal.DestinationNotFound), Refusal.DestinationNotFound },
        { "closed", Receive("1.00"), Refusal.DestinationClosed },
        { "100 USD", Receive("1.00", Eur), Refusal.CurrencyMismatch },
        { "100 USD", Receive("1", Jpy), Refusal.CurrencyMismatch },
        { "full", Receive("0.01"), Refusal.DestinationBalanceTooLarge },
        { "overfull", Receive("0.01"), Refusal.DestinationBalanceTooLarge },

        { "closed", Send("1.00", destination: Refusal.DestinationNotFound), Refusal.DestinationNotFound },
        { "closed", Send("1.00", destination: Refusal.DestinationClosed), Refusal.AccountClosed },
        { "empty", Send("1.00", destination: Refusal.DestinationClosed), Refusal.DestinationClosed },
        { "empty", Send("1.00", destination: Refusal.CurrencyMismatch), Refusal.CurrencyMismatch },
        { "empty", Send("1.00", destination: Refusal.DestinationBalanceTooLarge), Refusal.InsufficientFunds },
        { "closed", Send("1.00", Eur), Refusal.AccountClosed },
        { "empty", Send("1.00", Eur), Refusal.CurrencyMismatch },
        { "closed", Receive("1.00", Eur), Refusal.DestinationClosed },
        { "full", Receive("1.00", Eur), Refusal.CurrencyMismatch },
    };

    [Theory]
    [MemberData(nameof(Declines))]
    public void A_step_that_breaks_a_rule_is_recorded_as_declined(string state, AccountCommand command, Refusal reason) =>
        AssertAccepted(Decide(state, command), new TransferDeclined(T, reason));

    public static TheoryData<string, AccountCommand, AccountEvent> Acceptances => new()
    {
        {
            "unopened", new OpenAccount("Ada", "owner-1", Usd, M("100")),
            new AccountOpened("Ada", "owner-1", Usd, M("100.00"), M("100.00"))
        },
        { "unopened", new OpenAccount("Ada", null, Usd, M("0")), new AccountOpened("Ada", null, Usd, M("0.00"), M("0.00")) },
        { "100 USD", new Deposit(M("0.5"), "pay"), new MoneyDeposited(M("0.50"), "pay", M("100.50")) },
        { "100 JPY", new Deposit(M("5"), ""), new MoneyDeposited(M("5"), "", M("105")) },
        { "empty", new Deposit(M("10000000000000"), ""), new MoneyDeposited(M("10000000000000.00"), "", M("10000000000000.00")) },
        { "100 USD", new Withdraw(M("100"), "all"), new MoneyWithdrawn(M("100.00"), "all", M("0.00")) },
        { "closed, 5 came back", new Withdraw(M("5"), ""), new MoneyWithdrawn(M("5.00"), "", M("0.00")) },
        { "empty", new CloseAccount("moved"), new AccountClosed("moved") },
        { "100 USD", Send("100.00"), new TransferSent(T, Other, M("100.00"), "rent", M("0.00")) },
        { "empty", Receive("7.00"), new TransferReceived(T, Other, M("7.00"), "rent", M("7.00")) },
        { "empty", new ReturnTransfer(T, Other, M("7.00"), "rent"), new TransferReturned(T, Other, M("7.00"), "rent", M("7.00")) },
        { "closed", new ReturnTransfer(T, Other, M("7.00"), "rent"), new TransferReturned(T, Other, M("7.00"), "rent", M("7.00")) },
        {
            "full", new ReturnTransfer(T, Other, M("1.00"), "rent"),
            new TransferReturned(T, Other, M("1.00"), "rent", new(Limits.Balance + 100, 2))
        },
    };

    [Theory]
    [MemberData(nameof(Acceptances))]
    public void What_the_rules_allow_happens(string state, AccountCommand command, AccountEvent expected) =>
        AssertAccepted(Decide(state, command), expected);

    [Fact]
    public void A_balance_may_reach_its_limit_exactly()
    {
        var state = Opened("0.00") with { Balance = new(Limits.Balance - 1, 2) };
        Assert.IsType<Accepted>(Account.Decide(state, new Deposit(M("0.01"), ""), Guid.NewGuid()));
        Assert.IsType<Accepted>(Account.Decide(state, Receive("0.01"), Guid.NewGuid()));
    }

    [Fact]
    public void Idempotence_comes_before_every_rule()
    {
        var id = Guid.NewGuid();
        var emptied = Account.Evolve(Opened("100.00"), new MoneyWithdrawn(M("100.00"), "", M("0.00")), id);
        Assert.IsType<AlreadyDone>(Account.Decide(emptied, new Withdraw(M("100"), ""), id));
        Assert.Equal(new Refused(Refusal.InsufficientFunds), Account.Decide(emptied, new Withdraw(M("100"), ""), Guid.NewGuid()));
        Assert.IsType<AlreadyDone>(Account.Decide(emptied, new Deposit(M("0"), ""), id));
    }

    [Fact]
    public void An_open_account_opens_no_second_time_however_much_has_happened_since()
    {
        var account = DerivedId.Account("k");
        var id = DerivedId.Opening(account);
        var state = Account.Evolve(Account.Initial(4), new AccountOpened("Ada", null, Usd, M("0.00"), M("0.00")), id);
        for (var cents = 1; cents <= 10; cents++)
            state = Fold(state, new MoneyDeposited(M("0.01"), "", new(cents, 2)));
        Assert.False(state.RecentCommands.Contains(id));
        Assert.IsType<AlreadyDone>(Account.Decide(state, new OpenAccount("Ada", null, Usd, M("0")), id));
    }

    [Fact]
    public void Every_refusal_has_a_code_of_its_own_that_is_read_back()
    {
        foreach (var refusal in Enum.GetValues<Refusal>())
        {
            Assert.True(RefusalCode.TryParse(refusal.Code(), out var read));
            Assert.Equal(refusal, read);
            Assert.Equal(refusal, RefusalCode.Parse(refusal.Code()));
        }
        Assert.Throws<FormatException>(() => RefusalCode.Parse("no_such_code"));
        Assert.False(RefusalCode.TryParse("no_such_code", out _));
        Assert.False(RefusalCode.TryParse(null, out _));
    }

    // ---- the fold

    private static readonly AccountEvent[] EveryEvent =
    [
        new AccountOpened("Ada", null, Usd, M("5.00"), M("5.00")),
        new MoneyDeposited(M("5.00"), "", M("10.00")),
        new MoneyWithdrawn(M("5.00"), "", M("0.00")),
        new TransferSent(T, Other, M("5.00"), "", M("0.00")),
        new TransferDeclined(T, Refusal.InsufficientFunds),
        new TransferReceived(T, Other, M("5.00"), "", M("10.00")),
        new TransferReturned(T, Other, M("5.00"), "", M("10.00")),
        new AccountClosed(""),
    ];

    // Which status each event can meet; every other pair is unreachable, since Decide gives no such event there.
    private static readonly Dictionary<Type, AccountStatus[]> Reachable = new()
    {
        [typeof(AccountOpened)] = [AccountStatus.Unopened],
        [typeof(MoneyDeposited)] = [AccountStatus.Active],
        [typeof(MoneyWithdrawn)] = [AccountStatus.Active, AccountStatus.Closed],
        [typeof(TransferSent)] = [AccountStatus.Active],
        [typeof(TransferDeclined)] = [AccountStatus.Active, AccountStatus.Closed],
        [typeof(TransferReceived)] = [AccountStatus.Active],
        [typeof(TransferReturned)] = [AccountStatus.Active, AccountStatus.Closed],
        [typeof(AccountClosed)] = [AccountStatus.Active],
    };

    private static AccountState With(AccountStatus status) => status switch
    {
        AccountStatus.Unopened => States["unopened"],
        AccountStatus.Active => Opened("5.00"),
        _ => States["closed, 5 came back"],
    };

    [Fact]
    public void The_table_of_events_is_complete() => Assert.Equal(
        typeof(AccountEvent).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(AccountEvent)) && !t.IsAbstract).OrderBy(t => t.Name),
        EveryEvent.Select(e => e.GetType()).OrderBy(t => t.Name));

    [Fact]
    public void Every_event_folds_in_every_state_that_it_can_meet_and_in_no_other()
    {
        foreach (var status in Enum.GetValues<AccountStatus>())
        {
            foreach (var @event in EveryEvent)
            {
                if (Reachable[@event.GetType()].Contains(status))
                    Account.Evolve(With(status), @event, Guid.NewGuid());
                else
                    Assert.Throws<UnreachableException>(() => Account.Evolve(With(status), @event, Guid.NewGuid()));
            }
        }
    }

    // Proof of the table: every command in every state gives only events that fold in that state.
    [Fact]
    public void What_is_decided_in_a_state_folds_in_it()
    {
        AccountCommand[] commands =
        [
            .. Refusals.Select(row => row.Data.Item2),
            .. Declines.Select(row => row.Data.Item2),
            .. Acceptances.Select(row => row.Data.Item2),
        ];
        foreach (var (name, state) in States)
        {
            foreach (var command in commands.Where(c => c is not ReturnTransfer r || r.Amount.Digits == state.Currency.Digits))
            {
                if (Decide(name, command) is Accepted accepted)
                    Assert.All(accepted.Events, e => Fold(state, e));
            }
        }
    }

    [Fact]
    public void A_balance_that_does_not_follow_is_not_folded()
    {
        Assert.Throws<UnreachableException>(() => Fold(Opened("5.00"), new MoneyDeposited(M("5.00"), "", M("10.01"))));
        Assert.Throws<UnreachableException>(() => Fold(Opened("5.00"), new MoneyWithdrawn(M("5.00"), "", M("5.00"))));
        Assert.Throws<UnreachableException>(() =>
            Fold(Account.Initial(), new AccountOpened("Ada", null, Usd, M("5.00"), M("6.00"))));
    }

    [Fact]
    public void The_fold_remembers_the_commands()
    {
        var ids = Enumerable.Range(1, 5).Select(n => new Guid(n, 0, 0, new byte[8])).ToArray();
        var state = Account.Evolve(Account.Initial(4), new AccountOpened("Ada", null, Usd, M("0.00"), M("0.00")), ids[0]);
        foreach (var id in ids[1..])
            state = Account.Evolve(state, new TransferDeclined(T, Refusal.InsufficientFunds), id);
        Assert.Equal(ids[1..], state.RecentCommands.Ids.ToArray());
        Assert.False(state.RecentCommands.IsComplete);
    }

    private static void AssertAccepted(Decision<AccountEvent, Refusal> decision, AccountEvent expected) =>
        Assert.Equal([expected], Assert.IsType<Accepted>(decision).Events);
}
