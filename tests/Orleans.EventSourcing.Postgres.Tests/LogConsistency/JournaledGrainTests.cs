using Bank.Testing;
using Orleans.EventSourcing.Postgres.Tests.Hosting;
using Orleans.Runtime;
using Orleans.Runtime.Placement;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.LogConsistency;

/// <summary>What Orleans documents of JournaledGrain, on two silos; for each kind of view and event a class below.</summary>
public abstract class JournaledGrainTests<TLedger>(TwoSilos silos, string prefix)
    where TLedger : ILedger
{
    private readonly string _key = Guid.NewGuid().ToString("n");

    private string Stream => $"{prefix}-{_key}";

    /// <summary>The ledger, by way of the first silo, where it begins.</summary>
    private TLedger Here
    {
        get
        {
            RequestContext.Set(IPlacementDirector.PlacementHintKey, silos.First.Address);
            return silos.First.Grains.GetGrain<TLedger>(_key);
        }
    }

    /// <summary>By way of the second silo.</summary>
    private TLedger There => silos.Second.Grains.GetGrain<TLedger>(_key);

    protected abstract object Event(int amount);

    [Fact]
    public async Task Events_that_are_raised_are_confirmed_and_stay()
    {
        Assert.Equal(new(7, 1, 1), await Here.Add([7]));
        Assert.Equal(new(4, 4, 4), await Here.Add([-1, -4, 2]));
        Assert.Equal(new(9, 5, 5), await Here.Add([5]));

        await InEachLifeAsync(5, async ledger =>
        {
            Assert.Equal(new(9, 5, 5), await ledger.Look());
            Assert.Equal(new(9, 5, 5), await ledger.Refresh());
        });
    }

    [Fact]
    public async Task A_conditional_event_is_appended_if_nobody_else_was_there()
    {
        Assert.True(await Here.AddIf([1]));
        Assert.True(await Here.AddIf([2, 3]));
        await silos.AppendBehindAsync(Stream, Event(10));

        Assert.False(await Here.AddIf([100]));
        Assert.Equal(new(16, 4, 4), await Here.Look());
        Assert.True(await Here.AddIf([1, 1, 1, 1]));

        await InEachLifeAsync(8, async ledger => Assert.Equal(new(20, 8, 8), await ledger.Look()));
        Assert.True(await Here.AddIf([1]));
    }

    [Fact]
    public async Task An_unconditional_event_is_appended_whoever_else_was_there()
    {
        await Here.Add([1]);
        await silos.AppendBehindAsync(Stream, Event(10), Event(20));

        Assert.Equal(new(36, 4, 4), await Here.Add([5]));

        await InEachLifeAsync(4, async ledger => Assert.Equal(new(36, 4, 4), await ledger.Look()));
    }

    [Fact]
    public async Task A_refresh_finds_what_others_have_written_and_says_that_the_state_has_changed()
    {
        await Here.Add([1]);
        await Here.Told();
        await silos.AppendBehindAsync(Stream, Event(2), Event(3));
        Assert.Equal(new(1, 1, 1), await Here.Look());

        Assert.Equal(new(6, 3, 3), await Here.Refresh());

        Assert.Equal(["3: 6, 6"], await Here.Told());
        Assert.Equal(new(6, 3, 3), await Here.Refresh());
        Assert.Empty(await Here.Told());
    }

    [Fact]
    public async Task Every_segment_of_the_confirmed_events_can_be_retrieved()
    {
        int[] amounts = [1, 2, 3, 4, 5, 6];
        await Here.Add(amounts);

        await InEachLifeAsync(6, async ledger =>
        {
            for (var from = 0; from <= amounts.Length; from++)
                for (var to = from; to <= amounts.Length; to++)
                    Assert.Equal(amounts[from..to], await ledger.Segment(from, to));
        });
        await Assert.ThrowsAsync<ArgumentException>(() => Here.Segment(0, 7));
        await Assert.ThrowsAsync<ArgumentException>(() => Here.Segment(-1, 1));
    }

    [Fact]
    public async Task The_tentative_state_is_ahead_of_the_confirmed_one_until_the_event_is_confirmed()
    {
        await Here.Add([1, 2, 3]);

        var seen = await Here.AddInSlowMotion(10);

        Assert.Equal([new(6, 3, 3), new(16, 4, 1), new(16, 4, 4), new(16, 4, 0)], seen);
        await InEachLifeAsync(4, async ledger => Assert.Equal(new(16, 4, 4), await ledger.Look()));
        Assert.Equal([new(16, 4, 4), new(17, 5, 1), new(17, 5, 5), new(17, 5, 0)], await Here.AddInSlowMotion(1));
    }

    [Fact]
    public async Task OnStateChanged_is_told_once_of_each_commit_and_may_look_at_the_tentative_state()
    {
        await Here.Add([1]);
        await Here.Add([2, 3]);
        Assert.True(await Here.AddIf([4]));

        Assert.Equal(["1: 1, 1", "3: 6, 6", "4: 10, 10"], await Here.Told());
        Assert.Equal(new(10, 4, 4), await Here.Refresh());
        await InEachLifeAsync(4, async ledger => Assert.Equal(new(10, 4, 4), await ledger.Look()));
    }

    [Fact]
    public async Task A_log_is_cleared_where_the_owner_of_the_database_has_granted_it()
    {
        await Here.Add([1, 2, 3, 4, 5]);
        await Assert.ThrowsAsync<InvalidOperationException>(() => Here.Clear());
        Assert.Equal(new(15, 5, 5), await Here.Refresh());

        await silos.ExecuteAsync($"INSERT INTO journal.clearable_stream_types VALUES ('{prefix}')");
        var cleared = await Here.Clear();
        await silos.ExecuteAsync($"DELETE FROM journal.clearable_stream_types WHERE stream_type = '{prefix}'");

        Assert.Equal(new(0, 0, 0), cleared);
        Assert.Equal(new(7, 1, 1), await Here.Add([7]));
        Assert.Equal(new(7, 1, 1), await Here.Refresh());
        await Here.Add([1, 1, 1]);
        await InEachLifeAsync(4, async ledger => Assert.Equal(new(10, 4, 4), await ledger.Look()));
    }

    [Fact]
    public async Task A_connection_issue_is_told_and_so_is_its_end_and_a_handler_that_throws_costs_no_answer()
    {
        await Here.Add([1]);
        await Here.Told();
        silos.Journal.OnAppend = (_, _) => new(AppendOutcome.Unavailable.Instance);
        try
        {
            await Assert.ThrowsAsync<JournalUnavailableException>(() => Here.AddIf([2]));
        }
        finally
        {
            silos.Journal.Calm();
        }

        await Here.Refresh();
        Assert.True(await Here.AddIf([3]));
        Assert.Equal(["issue 1", "resolved", "2: 4, 4"], await Here.Told());
    }

    /// <summary>
    /// Checks the ledger as it is, then in a second life on the other silo that begins with a snapshot, then in a third one, wherever,
    /// that begins with the events.
    /// </summary>
    private async Task InEachLifeAsync(int version, Func<TLedger, Task> check)
    {
        Assert.Equal(silos.First.Address, await Here.Where());
        await check(Here);

        if (HasSnapshots)
            await Eventually.UntilAsync(
                "there is a snapshot",
                async () => await silos.ScalarAsync<long>(
                    $"""
                    SELECT count(*) FROM journal.snapshots JOIN journal.events USING (stream_id, version, event_id)
                    WHERE stream_id = '{Stream}'
                    """),
                count => count > 0,
                TimeSpan.FromSeconds(60));
        var before = EventsRead();
        await Here.Move(silos.Second.Address);
        await Eventually.UntilAsync(
            "the ledger lives on the second silo", There.Where, where => where == silos.Second.Address, TimeSpan.FromSeconds(60));
        var read = EventsRead() - before;
        Assert.True(HasSnapshots ? read < version : read == version, $"{read} of {version} events were read");
        await check(There);

        await There.Leave();
        await silos.GoneAsync(There);
        await silos.ExecuteAsync($"DELETE FROM journal.snapshots WHERE stream_id = '{Stream}'");
        before = EventsRead();
        await Here.Look();
        Assert.Equal(version, EventsRead() - before);
        await check(Here);
    }

    private int EventsRead() => silos.First.Journal.EventsRead(Stream) + silos.Second.Journal.EventsRead(Stream);

    protected virtual bool HasSnapshots => true;
}

public sealed class ForkingLedgerTests(TwoSilos silos) : JournaledGrainTests<IForkingLedger>(silos, "forking"), IClassFixture<TwoSilos>
{
    protected override object Event(int amount) => new Credited(amount);
}

public sealed class OrleansLedgerTests(TwoSilos silos) : JournaledGrainTests<IOrleansLedger>(silos, "orleans"), IClassFixture<TwoSilos>
{
    protected override object Event(int amount) => new Marked(amount);
}

public sealed class JsonLedgerTests(TwoSilos silos) : JournaledGrainTests<IJsonLedger>(silos, "json"), IClassFixture<TwoSilos>
{
    protected override object Event(int amount) => new Credited(amount);
}

public sealed class ClosedLedgerTests(TwoSilos silos) : JournaledGrainTests<IClosedLedger>(silos, "closed"), IClassFixture<TwoSilos>
{
    protected override object Event(int amount) => new Credited(amount);

    protected override bool HasSnapshots => false;
}
