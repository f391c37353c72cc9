using Bank.Domain;
using CsCheck;

namespace Bank.Domain.Tests;

/// <summary>
/// Accounts, transfers and two drivers of each, on a journal in memory that keeps ids unique, and nothing else between the deciders and the
/// money. Each test plays random commands and steps, in any order, repeated, held back, and cut off.
/// </summary>
public class TransferProperties
{
    private static readonly Currency Usd = Currency.Parse("USD");
    private static readonly Currency Jpy = Currency.Parse("JPY");

    private enum Act
    {
        Open,
        Deposit,
        Withdraw,
        Close,
        Request,
        Ask,
        Step,
        Crash,
    }

    private sealed record Move(Act Act, int A, int B, int Amount, int Key);

    private static readonly Gen<Move> Moves =
        from act in Gen.Frequency(
            (1, Gen.Const(Act.Open)),
            (3, Gen.Const(Act.Deposit)),
            (1, Gen.Const(Act.Withdraw)),
            (1, Gen.Const(Act.Close)),
            (8, Gen.Const(Act.Request)),
            (4, Gen.Const(Act.Ask)),
            (12, Gen.Const(Act.Step)),
            (1, Gen.Const(Act.Crash)))
        from a in Gen.Int[0, 5]
        from b in Gen.OneOf(Gen.Int[0, 5], Gen.Const(0), Gen.Const(1))
        from amount in Gen.Int[0, 12]
        from key in Gen.Int[0, 3]
        select new Move(act, a, b, amount, key);

    private sealed class Driver
    {
        public TransferState? State;
        public (Refusal? Refusal, bool Asked) Answer;
    }

    private sealed class World
    {
        // Account 0 is full but for fifteen cents, so that a destination can be too full; it holds money from the start. Account 3 may be
        // opened or not, 4 never is, and 5 is kept in another currency.
        private const long Room = 15;
        private static readonly AccountId[] Ids = [.. Enumerable.Range(0, 6).Select(n => new AccountId(new(n, 0, 0, new byte[8])))];

        private readonly Dictionary<AccountId, AccountState> _accounts = Ids.ToDictionary(id => id, _ => Account.Initial(4));
        private readonly Dictionary<Guid, (string Stream, object Event)> _recorded = [];
        private readonly List<(TransferId Id, Driver[] Drivers)> _transfers = [];

        public World()
        {
            _accounts[Ids[0]] = _accounts[Ids[0]] with
            {
                Status = AccountStatus.Active,
                Currency = Usd,
                Balance = new(Limits.Balance - Room, Usd.Digits),
            };
            Open(Ids[1], 20, Usd);
            Open(Ids[2], 0, Usd);
            Open(Ids[5], 20, Jpy);
        }

        public List<(string Stream, object Event)> Journal { get; } = [];

        public void Play(Move move)
        {
            var account = Ids[move.A];
            var amount = new Money(move.Amount, _accounts[account].Currency.Digits);
            switch (move.Act)
            {
                case Act.Open:
                    Open(Ids[3], move.Amount, Usd);
                    break;
                case Act.Deposit:
                    AtAccount(account, DerivedId.Command(account, $"d{move.Key}"), new Deposit(amount, ""));
                    break;
                case Act.Withdraw:
                    AtAccount(account, DerivedId.Command(account, $"w{move.Key}"), new Withdraw(amount, ""));
                    break;
                case Act.Close:
                    AtAccount(account, DerivedId.Command(account, $"all{move.Key}"), new Withdraw(_accounts[account].Balance, ""));
                    AtAccount(account, DerivedId.Command(account, $"c{move.Key}"), new CloseAccount(""));
                    break;
                case Act.Request:
                    Request(account, Ids[move.B], amount, $"t{move.Key}");
                    break;
                case Act.Ask when Driven(move) is { Driver: { State: { } state } driver } &&
                        Transfer.Next(Driven(move)!.Value.Id, state) is TransferAction.Send:
                    driver.Answer = (Ask(state.Request), true);
                    break;
                case Act.Step when Driven(move) is { } driven:
                    Step(driven.Id, driven.Driver);
                    break;
                case Act.Crash when Driven(move) is { } driven:
                    // What a driver knew is gone; what the transfer's own stream says is left.
                    driven.Driver.State = OwnFold(driven.Id);
                    driven.Driver.Answer = default;
                    break;
                default:
                    break;
            }
        }

        /// <summary>Lets one driver of each transfer begin anew and run; says how many steps the longest took.</summary>
        public int Finish()
        {
            var longest = 0;
            foreach (var (id, drivers) in _transfers)
            {
                var driver = new Driver { State = OwnFold(id) };
                var steps = 0;
                for (; Transfer.Next(id, driver.State!) is not null && steps < 20; steps++)
                    Step(id, driver);
                longest = Math.Max(longest, steps);

                // The other driver wakes up late, with all that it knew and the answer that it got long ago.
                for (var late = 0; Transfer.Next(id, drivers[1].State!) is not null && late < 20; late++)
                    Step(id, drivers[1]);
                Assert.Equal(driver.State, drivers[1].State);
            }
            return longest;
        }

        public IEnumerable<TransferId> Transfers => _transfers.Select(t => t.Id);

        public TransferState Fold(TransferId id) => Journal
            .Where(e => e.Stream == id.StreamId || IdOf(e.Event) == id)
            .Aggregate((TransferState?)null, (state, e) => Transfer.Evolve(state, (ITransferStep)e.Event))!;

        /// <summary>From the events alone: what was paid in and not out, less what the accounts hold and what is on its way.</summary>
        public long Missing(Currency currency)
        {
            long paidIn = currency == Usd ? Limits.Balance - Room : 0, inFlight = 0;
            foreach (var (stream, @event) in Journal)
            {
                var streamCurrency = AccountId.TryParseStream(stream, out var id) ? _accounts[id].Currency : default;
                if (streamCurrency != currency)
                    continue;
                paidIn += @event switch
                {
                    AccountOpened e => e.InitialDeposit.MinorUnits,
                    MoneyDeposited e => e.Amount.MinorUnits,
                    MoneyWithdrawn e => -e.Amount.MinorUnits,
                    _ => 0,
                };
                inFlight += @event switch
                {
                    TransferSent e => e.Amount.MinorUnits,
                    TransferReceived e => -e.Amount.MinorUnits,
                    TransferReturned e => -e.Amount.MinorUnits,
                    _ => 0,
                };
            }
            var held = _accounts.Values.Where(a => a.Currency == currency).Sum(a => a.Balance.MinorUnits);
            Assert.All(_accounts.Values, a => Assert.True(a.Balance.MinorUnits >= 0, $"{a} is below zero"));
            Assert.True(inFlight >= 0, $"{inFlight} in flight");
            return paidIn - held - inFlight;
        }

        private (TransferId Id, Driver Driver)? Driven(Move move)
        {
            if (_transfers.Count == 0)
                return null;
            var (id, drivers) = _transfers[(move.A * 6 + move.B) % _transfers.Count];
            return (id, drivers[move.Key % 2]);
        }

        private void Open(AccountId account, long deposit, Currency currency) =>
            AtAccount(account, DerivedId.Opening(account), new OpenAccount("Ada", null, currency, new(deposit, currency.Digits)));

        // As the journal does it: an id that is recorded is answered with what is recorded, whoever asks and however it would decide now.
        private object? AtAccount(AccountId account, Guid id, AccountCommand command)
        {
            if (_recorded.TryGetValue(id, out var found))
                return found.Event;
            if (Account.Decide(_accounts[account], command, id) is not Decision<AccountEvent, Refusal>.Accepted accepted)
                return null;
            var @event = Assert.Single(accepted.Events);
            _accounts[account] = Account.Evolve(_accounts[account], @event, id);
            Append(account.StreamId, id, @event);
            return @event;
        }

        private void Request(AccountId from, AccountId to, Money amount, string key)
        {
            var id = DerivedId.Transfer(from, key);
            var source = _accounts[from];
            if (source.Status == AccountStatus.Unopened || _recorded.ContainsKey(id.Value))
                return;
            if (Transfer.Decide(null, new(from, to, amount, source.Currency, "")) is Decision<TransferEvent, Refusal>.Accepted accepted)
            {
                Append(id.StreamId, id.Value, Assert.Single(accepted.Events));
                _transfers.Add((id, [new() { State = OwnFold(id) }, new() { State = OwnFold(id) }]));
            }
        }

        private Refusal? Ask(TransferRequested request) =>
            Account.RefusalToReceive(_accounts[request.ToAccountId], request.Amount, request.Currency);

        private void Step(TransferId id, Driver driver)
        {
            var action = Transfer.Next(id, driver.State!);
            Assert.Equal(Transfer.Phase(driver.State!) == TransferPhase.Ended, action is null);
            if (action is null)
                return;
            var step = DerivedId.Step(id, action.Step);
            var outcome = action switch
            {
                TransferAction.Send a => AtAccount(a.Source, step, a.Command with { DestinationRefusal = Answer(driver) }),
                TransferAction.Receive a => AtAccount(a.Destination, step, a.Command),
                TransferAction.Return a => AtAccount(a.Source, step, a.Command),
                TransferAction.Record a => _recorded.TryGetValue(step, out var found) ? found.Event : Append(id.StreamId, step, a.Event),
                _ => null,
            };
            driver.State = Transfer.Evolve(driver.State, Assert.IsType<ITransferStep>(outcome, exactMatch: false));
        }

        // The answer may be an old one: the destination was asked, and then the driver was held.
        private Refusal? Answer(Driver driver) => driver.Answer.Asked ? driver.Answer.Refusal : Ask(driver.State!.Request);

        private object Append(string stream, Guid id, object @event)
        {
            _recorded.Add(id, (stream, @event));
            Journal.Add((stream, @event));
            return @event;
        }

        private TransferState OwnFold(TransferId id) => Journal
            .Where(e => e.Stream == id.StreamId)
            .Aggregate((TransferState?)null, (state, e) => Transfer.Evolve(state, (ITransferStep)e.Event))!;
    }

    private static TransferId? IdOf(object @event) => @event switch
    {
        TransferSent e => e.TransferId,
        TransferDeclined e => e.TransferId,
        TransferReceived e => e.TransferId,
        TransferReturned e => e.TransferId,
        _ => null,
    };

    [Fact]
    public void Whatever_happens_in_whatever_order_no_money_is_lost_or_made_and_every_transfer_ends()
    {
        var ends = new HashSet<(TransferStatus, Refusal?)>();
        Moves.Array[0, 120].Sample(
            moves =>
            {
                var world = new World();
                foreach (var move in moves)
                {
                    world.Play(move);
                    Assert.Equal((0, 0), (world.Missing(Usd), world.Missing(Jpy)));
                }
                var longest = world.Finish();
                Assert.True(longest <= 5, $"a transfer took {longest} steps after its request");
                Assert.Equal((0, 0), (world.Missing(Usd), world.Missing(Jpy)));
                foreach (var id in world.Transfers)
                {
                    var end = world.Fold(id);
                    Assert.Equal(TransferPhase.Ended, Transfer.Phase(end));
                    var own = world.Journal.Where(e => IdOf(e.Event) == id).Select(e => e.Event.GetType()).ToArray();
                    Assert.Equal(
                        Transfer.Status(end) switch
                        {
                            TransferStatus.Completed => [typeof(TransferSent), typeof(TransferReceived)],
                            TransferStatus.Rejected => [typeof(TransferDeclined)],
                            _ => [typeof(TransferSent), typeof(TransferDeclined), typeof(TransferReturned)],
                        },
                        own);
                    lock (ends)
                        ends.Add((Transfer.Status(end), end.Reason));
                }
            },
            iter: 1000);

        // The random worlds are worth something only if they reach every end.
        Assert.Superset(
            new HashSet<(TransferStatus, Refusal?)>
            {
                (TransferStatus.Completed, null),
                (TransferStatus.Rejected, Refusal.DestinationNotFound),
                (TransferStatus.Rejected, Refusal.AccountClosed),
                (TransferStatus.Rejected, Refusal.DestinationClosed),
                (TransferStatus.Rejected, Refusal.CurrencyMismatch),
                (TransferStatus.Rejected, Refusal.InsufficientFunds),
                (TransferStatus.Rejected, Refusal.DestinationBalanceTooLarge),
                (TransferStatus.Failed, Refusal.DestinationClosed),
                (TransferStatus.Failed, Refusal.DestinationBalanceTooLarge),
            },
            ends);
    }
}
