using System.Diagnostics;
using Bank.Domain;
using Accepted = Bank.Domain.Decision<Bank.Domain.TransferEvent, Bank.Domain.Refusal>.Accepted;
using AlreadyDone = Bank.Domain.Decision<Bank.Domain.TransferEvent, Bank.Domain.Refusal>.AlreadyDone;
using Progress = Bank.Domain.TransferProgress;
using Refused = Bank.Domain.Decision<Bank.Domain.TransferEvent, Bank.Domain.Refusal>.Refused;

namespace Bank.Domain.Tests;

public class TransferTests
{
    private static readonly Currency Usd = Currency.Parse("USD");
    private static readonly Currency Jpy = Currency.Parse("JPY");
    private static readonly AccountId From = new(new("00000000-0000-0000-0000-0000000000f0"));
    private static readonly AccountId To = new(new("00000000-0000-0000-0000-0000000000d0"));
    private static readonly TransferId T = new(new("00000000-0000-0000-0000-0000000000a1"));
    private static readonly TransferRequested Request = new(From, To, Money.Parse("7.00"), Usd, "rent");

    private static readonly ITransferStep[] EveryStep =
    [
        Request,
        new TransferSent(T, To, Request.Amount, "rent", Money.Parse("3.00")),
        new TransferDeclined(T, Refusal.AccountClosed),
        new TransferReceived(T, From, Request.Amount, "rent", Money.Parse("7.00")),
        new TransferReturned(T, To, Request.Amount, "rent", Money.Parse("10.00")),
        new TransferRejected(Refusal.AccountClosed),
        new ReturnDecided(Refusal.DestinationClosed),
        new TransferFailed(Refusal.DestinationClosed),
        new TransferCompleted(),
    ];

    // Where each step leads from each progress; every other pair is unreachable. Half of the rows skip the steps that lie in the streams of
    // the accounts: that is how the transfer's own stream folds alone.
    private static readonly Dictionary<(Progress?, Type), Progress> Table = new()
    {
        [(null, typeof(TransferRequested))] = Progress.Requested,
        [(Progress.Requested, typeof(TransferSent))] = Progress.Sent,
        [(Progress.Requested, typeof(TransferDeclined))] = Progress.DeclinedBySource,
        [(Progress.Sent, typeof(TransferReceived))] = Progress.Received,
        [(Progress.Sent, typeof(TransferDeclined))] = Progress.DeclinedByDestination,
        [(Progress.ReturnDecided, typeof(TransferReturned))] = Progress.Returned,
        [(Progress.DeclinedBySource, typeof(TransferRejected))] = Progress.Rejected,
        [(Progress.DeclinedByDestination, typeof(ReturnDecided))] = Progress.ReturnDecided,
        [(Progress.Returned, typeof(TransferFailed))] = Progress.Failed,
        [(Progress.Received, typeof(TransferCompleted))] = Progress.Completed,

        [(Progress.Requested, typeof(TransferRejected))] = Progress.Rejected,
        [(Progress.Requested, typeof(ReturnDecided))] = Progress.ReturnDecided,
        [(Progress.ReturnDecided, typeof(TransferFailed))] = Progress.Failed,
        [(Progress.Requested, typeof(TransferCompleted))] = Progress.Completed,
    };

    private static TransferState At(Progress progress) => new(Request, progress, Refusal.AccountClosed);

    [Fact]
    public void Every_step_folds_in_every_state_that_it_can_meet_and_in_no_other()
    {
        foreach (var progress in (Progress?[])[null, .. Enum.GetValues<Progress>()])
        {
            foreach (var step in EveryStep)
            {
                var state = progress is { } p ? At(p) : null;
                if (Table.TryGetValue((progress, step.GetType()), out var next))
                    Assert.Equal(next, Transfer.Evolve(state, step).Progress);
                else
                    Assert.Throws<UnreachableException>(() => Transfer.Evolve(state, step));
            }
        }
    }

    [Fact]
    public void The_table_of_steps_is_complete() => Assert.Equal(
        typeof(ITransferStep).Assembly.GetTypes().Where(t => t.IsAssignableTo(typeof(ITransferStep)) && !t.IsAbstract).OrderBy(t => t.Name),
        EveryStep.Select(s => s.GetType()).OrderBy(t => t.Name));

    // Proof that the rest of the table is unreachable: from the request on, whatever outcome the next action finds recorded has its row,
    // every row but those of the own stream is met, every way ends, and none takes more than six steps.
    [Fact]
    public void Every_outcome_of_every_next_action_leads_on_until_the_end()
    {
        var met = new HashSet<(Progress?, Type)> { (null, typeof(TransferRequested)) };
        Walk(Transfer.Evolve(null, Request), 1);
        Assert.Equal(Table.Keys.Take(10).ToHashSet(), met);

        void Walk(TransferState state, int steps)
        {
            var action = Transfer.Next(T, state);
            Assert.Equal(Transfer.Phase(state) == TransferPhase.Ended, action is null);
            Assert.True(steps <= 6, $"{state} after {steps} steps");
            foreach (var outcome in Outcomes(action))
            {
                met.Add((state.Progress, outcome.GetType()));
                Walk(Transfer.Evolve(state, outcome), steps + 1);
            }
        }
    }

    [Fact]
    public void The_own_stream_alone_folds_to_the_same_end()
    {
        Walk(Transfer.Evolve(null, Request), Transfer.Evolve(null, Request));

        static void Walk(TransferState all, TransferState own)
        {
            foreach (var outcome in Outcomes(Transfer.Next(T, all)))
                Walk(Transfer.Evolve(all, outcome), outcome is TransferEvent ? Transfer.Evolve(own, outcome) : own);
            if (Transfer.Phase(all) == TransferPhase.Ended)
                Assert.Equal(all, own);
        }
    }

    private static ITransferStep[] Outcomes(TransferAction? action) => action switch
    {
        TransferAction.Send a => [Sent(a.Command), new TransferDeclined(T, Refusal.InsufficientFunds)],
        TransferAction.Receive a => [Received(a.Command), new TransferDeclined(T, Refusal.DestinationClosed)],
        TransferAction.Return a => [new TransferReturned(T, a.Command.From, a.Command.Amount, a.Command.Description, a.Command.Amount)],
        TransferAction.Record a => [a.Event],
        _ => [],
    };

    private static TransferSent Sent(SendTransfer c) => new(T, c.To, c.Amount, c.Description, new(0, 2));

    private static TransferReceived Received(ReceiveTransfer c) => new(T, c.From, c.Amount, c.Description, c.Amount);

    [Theory]
    [InlineData(Progress.Requested, TransferPhase.Sending, TransferStatus.Running, TransferStep.Source)]
    [InlineData(Progress.DeclinedBySource, TransferPhase.Completing, TransferStatus.Running, TransferStep.Outcome)]
    [InlineData(Progress.Sent, TransferPhase.Receiving, TransferStatus.Running, TransferStep.Destination)]
    [InlineData(Progress.DeclinedByDestination, TransferPhase.Returning, TransferStatus.Running, TransferStep.Outcome)]
    [InlineData(Progress.ReturnDecided, TransferPhase.Returning, TransferStatus.Running, TransferStep.Return)]
    [InlineData(Progress.Returned, TransferPhase.Completing, TransferStatus.Running, TransferStep.End)]
    [InlineData(Progress.Received, TransferPhase.Completing, TransferStatus.Completed, TransferStep.Outcome)]
    [InlineData(Progress.Rejected, TransferPhase.Ended, TransferStatus.Rejected, null)]
    [InlineData(Progress.Failed, TransferPhase.Ended, TransferStatus.Failed, null)]
    [InlineData(Progress.Completed, TransferPhase.Ended, TransferStatus.Completed, null)]
    public void Each_progress_has_its_phase_status_and_next_step(
        Progress progress, TransferPhase phase, TransferStatus status, TransferStep? next)
    {
        Assert.Equal(phase, Transfer.Phase(At(progress)));
        Assert.Equal(status, Transfer.Status(At(progress)));
        Assert.Equal(next, Transfer.Next(T, At(progress))?.Step);
    }

    // What a stale driver may still record is said by the own stream's rows of the table.
    [Fact]
    public void The_own_stream_awaits_a_step_where_an_outcome_of_it_folds()
    {
        Dictionary<TransferStep, Type[]> outcomes = new()
        {
            [TransferStep.Outcome] = [typeof(TransferRejected), typeof(ReturnDecided), typeof(TransferCompleted)],
            [TransferStep.End] = [typeof(TransferFailed)],
        };
        Progress?[] own = [null, Progress.Requested, Progress.ReturnDecided, Progress.Rejected, Progress.Failed, Progress.Completed];
        foreach (var (step, types) in outcomes)
        {
            foreach (var progress in own)
            {
                Assert.Equal(
                    types.Any(type => Table.ContainsKey((progress, type))),
                    Transfer.Awaits(progress is { } p ? At(p) : null, step));
            }
        }
    }

    [Fact]
    public void Names_are_those_of_the_interface()
    {
        Assert.Equal(["running", "completed", "rejected", "failed"], Enum.GetValues<TransferStatus>().Select(s => s.Name()));
        Assert.Equal(
            ["sending", "receiving", "returning", "completing", "ended"], Enum.GetValues<TransferPhase>().Select(p => p.Name()));
    }

    [Fact]
    public void Actions_work_from_the_recorded_request()
    {
        Assert.Equal(
            new TransferAction.Send(From, new(T, To, Request.Amount, Usd, "rent", null)), Transfer.Next(T, At(Progress.Requested)));
        Assert.Equal(new TransferAction.Receive(To, new(T, From, Request.Amount, Usd, "rent")), Transfer.Next(T, At(Progress.Sent)));
        Assert.Equal(new TransferAction.Return(From, new(T, To, Request.Amount, "rent")), Transfer.Next(T, At(Progress.ReturnDecided)));
    }

    [Theory]
    [InlineData("0", Refusal.InvalidAmount)]
    [InlineData("1.001", Refusal.InvalidAmount)]
    [InlineData("10000000000000.01", Refusal.InvalidAmount)]
    [InlineData("1", Refusal.SameAccount)]
    public void What_is_no_transfer_is_not_recorded(string amount, Refusal refusal) => Assert.Equal(
        new Refused(refusal), Transfer.Decide(null, new(From, From, Money.Parse(amount), Usd, "")));

    [Theory]
    [InlineData("7", "USD", "7.00")]
    [InlineData("7.1", "USD", "7.10")]
    [InlineData("7", "JPY", "7")]
    [InlineData("10000000000000", "USD", "10000000000000.00")]
    public void A_request_records_the_amount_in_the_currency_of_the_source(string sent, string code, string recorded)
    {
        var currency = Currency.Parse(code);
        var decision = Transfer.Decide(null, new(From, To, Money.Parse(sent), currency, "rent"));
        Assert.Equal([new TransferRequested(From, To, Money.Parse(recorded), currency, "rent")], Assert.IsType<Accepted>(decision).Events);
    }

    [Fact]
    public void A_transfer_is_requested_once() =>
        Assert.IsType<AlreadyDone>(Transfer.Decide(At(Progress.Sent), new(From, From, Money.Parse("0"), Jpy, "")));
}
