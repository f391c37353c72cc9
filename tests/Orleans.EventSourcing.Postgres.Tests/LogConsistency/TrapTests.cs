using Bank.Testing;
using Orleans.EventSourcing.Postgres.Tests.Hosting;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.LogConsistency;

/// <summary>
/// What goes wrong with Orleans' own adaptors. Those submit an unconditional event again on top of a foreign one, whatever rule it was
/// decided by; log an exception of the fold and count the version on; never answer a conditional event whose write has thrown, and call a
/// second ConfirmEvents a success; copy views by what JSON or Orleans sees of them; and tell of each commit twice.
/// </summary>
public sealed class TrapTests(OneSilo silo) : IClassFixture<OneSilo>, IDisposable
{
    private readonly string _key = Guid.NewGuid().ToString("n");

    private string PurseStream => $"purse-{_key}";

    private IPurse Purse => silo.First.Grains.GetGrain<IPurse>(_key);

    private IForkingLedger Ledger => silo.First.Grains.GetGrain<IForkingLedger>(_key);

    private IClosedLedger ClosedLedger => silo.First.Grains.GetGrain<IClosedLedger>(_key);

    public void Dispose() => silo.Journal.Calm();

    // ---- a foreign event under a business rule

    [Fact]
    public async Task A_decision_that_a_foreign_event_has_overtaken_is_decided_again_and_refused()
    {
        await Purse.Put(Guid.NewGuid(), 100);
        await silo.AppendBehindAsync(PurseStream, new Debited(90));

        Assert.Equal("Confirmed", (await Purse.Take(Guid.NewGuid(), 80)).Outcome);

        Assert.Equal((10, 2), await ReadAsync());
    }

    [Fact]
    public async Task A_conditional_append_that_a_foreign_event_has_overtaken_is_a_conflict_and_finds_the_new_state()
    {
        await Purse.Put(Guid.NewGuid(), 100);
        await silo.AppendBehindAsync(PurseStream, new Debited(90));
        Assert.Equal(new("Conflict", 10, 2), await Purse.TakeNow(Guid.NewGuid(), 80));

        await silo.AppendBehindAsync(PurseStream, new Debited(9));
        Assert.Equal(new("False", 1, 3), await Purse.TakeConditionally(8));

        Assert.Equal((1, 3), await ReadAsync());
    }

    [Fact]
    public async Task A_refusal_of_a_stale_activation_does_not_leave()
    {
        await Purse.Put(Guid.NewGuid(), 10);
        await silo.AppendBehindAsync(PurseStream, new Credited(90));

        Assert.Equal(new("Appended", 20, 3), await Purse.Take(Guid.NewGuid(), 80));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_refusal_does_not_stand_on_a_state_below_one_that_this_activation_has_only_found_recorded(bool outcomeIsLate)
    {
        await Purse.Put(Guid.NewGuid(), 10);
        // Done elsewhere, and acknowledged there.
        var command = Guid.NewGuid();
        await silo.AppendBehindAsync(PurseStream, command, BitConverter.GetBytes(90), new Credited(90));
        var (deciding, mayAsk, mayHear) = (Signal(), Signal(), Signal());
        silo.Journal.OnAsk = async (_, go) =>
        {
            deciding.TrySetResult();
            await mayAsk.Task;
            var answer = await go();
            mayHear.TrySetResult();
            return answer;
        };
        if (outcomeIsLate)
            silo.Journal.OnAppend = async (_, go) =>
            {
                var outcome = await go();
                mayAsk.TrySetResult();
                await mayHear.Task;
                return outcome;
            };

        var take = Purse.Take(Guid.NewGuid(), 80);
        await deciding.Task.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        // Its retry comes here: an append that stands on the stale state, and finds itself recorded exactly as it was decided.
        var retry = await Purse.Put(command, 90);
        mayAsk.TrySetResult();

        Assert.Equal(new("AlreadyAppended", 100, 2), retry);
        Assert.Equal(new("Appended", 20, 3), await take);
    }

    [Fact]
    public async Task What_is_decided_while_the_stream_is_loaded_again_never_lands_on_a_state_that_nobody_has_looked_at()
    {
        await Purse.Put(Guid.NewGuid(), 100);
        await silo.AppendBehindAsync(PurseStream, new Debited(90));
        var (loading, mayLoad) = (Signal(), Signal());
        silo.Journal.OnLoad = async stream =>
        {
            if (stream == PurseStream)
            {
                loading.TrySetResult();
                await mayLoad.Task;
            }
        };

        var first = Purse.TakeNow(Guid.NewGuid(), 30);
        await loading.Task.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        Task<PurseReply>[] meanwhile =
            [Purse.TakeNow(Guid.NewGuid(), 50), Purse.TakeConditionally(50), Purse.Take(Guid.NewGuid(), 50), Purse.Take(Guid.NewGuid(), 7)];
        await EnteredAsync(6);
        mayLoad.SetResult();

        Assert.Equal("Conflict", (await first).Outcome);
        var outcomes = (await Task.WhenAll(meanwhile)).Select(reply => reply.Outcome);
        Assert.Equal(["Conflict", "False", "Confirmed", "Appended"], outcomes);
        Assert.Equal((3, 3), await ReadAsync());
    }

    // ---- a fold that throws

    [Fact]
    public async Task An_event_that_cannot_be_folded_is_told_to_its_caller_and_never_recorded()
    {
        await Purse.Put(Guid.NewGuid(), 100);
        silo.Journal.OnAppend = async (append, go) =>
        {
            // Whatever is decided now is decided while this is on its way.
            await Task.Yield();
            return await go();
        };

        var before = Purse.Put(Guid.NewGuid(), 1);
        var poison = Assert.ThrowsAsync<InvalidOperationException>(() => Purse.Poison(Guid.NewGuid()));
        var after = Purse.Put(Guid.NewGuid(), 2);

        Assert.Equal("poison", (await poison).Message);
        Assert.Equal(["Appended", "Appended"], [(await before).Outcome, (await after).Outcome]);
        Assert.Equal((103, 3), await ReadAsync());
        Assert.Equal(3, await silo.CountAsync(PurseStream));
    }

    [Fact]
    public async Task An_event_that_no_longer_folds_ends_each_activation_and_the_message_names_stream_version_and_type()
    {
        await Purse.Put(Guid.NewGuid(), 100);
        await silo.AppendBehindAsync(PurseStream, new Credited(1), new Poisoned(1), new Credited(1));

        for (var life = 1; life <= 2; life++)
        {
            var told = await Assert.ThrowsAnyAsync<Exception>(() => Purse.Read());
            Assert.Contains(PurseStream, told.ToString(), StringComparison.Ordinal);
            Assert.Contains("version 3", told.ToString(), StringComparison.Ordinal);
            Assert.Contains("Poisoned", told.ToString(), StringComparison.Ordinal);
            await silo.GoneAsync(Purse);
        }

        Assert.Equal(4, await silo.CountAsync(PurseStream));
    }

    // ---- a write that throws

    [Fact]
    public async Task A_write_that_throws_is_told_to_everybody_who_waits_for_it_once_and_the_next_call_goes_on()
    {
        await Purse.Put(Guid.NewGuid(), 100);
        var writing = Signal();
        silo.Journal.OnAppend = async (_, _) =>
        {
            await writing.Task;
            throw new InvalidOperationException("The writer has a fault.");
        };
        var (first, second) = (Guid.NewGuid(), Guid.NewGuid());
        Task<PurseReply>[] callers = [Purse.Take(first, 10), Purse.TakeNow(second, 10), Purse.Put(Guid.NewGuid(), 1)];
        var conditional = Assert.ThrowsAsync<JournalOutcomeUnknownException>(() => Purse.TakeConditionally(10));
        // A duplicate of one in flight waits with it.
        var duplicate = Purse.Take(first, 10);
        await EnteredAsync(6);
        writing.SetResult();

        Assert.All(await Task.WhenAll(callers), reply => Assert.Equal("Unknown", reply.Outcome));
        await conditional;
        silo.Journal.Calm();
        Assert.Contains((await duplicate).Outcome, new[] { "Unknown", "Appended" });
        Assert.Contains((await Purse.Take(first, 10)).Outcome, new[] { "Appended", "AlreadyAppended" });
        Assert.Equal((90, 2), await ReadAsync());
    }

    [Theory]
    [InlineData("Overloaded")]
    [InlineData("Unavailable")]
    [InlineData("Unknown")]
    [InlineData("Invalid")]
    public async Task Every_failure_of_a_write_is_an_outcome_and_leaves_an_activation_that_goes_on(string outcome)
    {
        await Purse.Put(Guid.NewGuid(), 100);
        silo.Journal.OnAppend = (_, _) => new(Outcome(outcome));

        Assert.Equal(new(outcome, 100, 1), await Purse.Take(Guid.NewGuid(), 10));

        silo.Journal.Calm();
        Assert.Equal(new("Appended", 70, 2), await Purse.Take(Guid.NewGuid(), 30));
    }

    [Fact]
    public async Task After_an_unknown_outcome_an_activation_answers_nothing_until_a_later_call_has_come_back()
    {
        var command = Guid.NewGuid();
        await Purse.Put(Guid.NewGuid(), 100);
        silo.Journal.OnAppend = async (_, go) =>
        {
            await go();
            return AppendOutcome.Unknown.Instance;
        };
        silo.Journal.OnAsk = (_, _) => new(Answer.Unavailable.Instance);
        Assert.Equal("Unknown", (await Purse.Take(command, 60)).Outcome);
        Assert.Equal("Unavailable", (await Purse.Take(command, 60)).Outcome);
        Assert.Equal("Unavailable", (await Purse.Take(Guid.NewGuid(), 60)).Outcome);
        Assert.Equal("Unavailable", (await Purse.Read()).Outcome);

        silo.Journal.Calm();

        Assert.Equal("Confirmed", (await Purse.Take(Guid.NewGuid(), 60)).Outcome);
        Assert.Equal(new("AlreadyAppended", 40, 2), await Purse.Take(command, 60));
        Assert.Equal("IdReused", (await Purse.Take(command, 61)).Outcome);
    }

    // ---- a second ConfirmEvents

    [Fact]
    public async Task A_second_ConfirmEvents_fails_like_the_first_and_the_next_activation_begins_with_what_is_recorded()
    {
        await Ledger.Add([1]);
        silo.Journal.OnAppend = async (_, _) =>
        {
            await Task.Yield();
            throw new InvalidOperationException("The writer has a fault.");
        };

        var thrown = await Ledger.AddAndConfirmTwice(2);

        Assert.Equal(
            ["", nameof(JournalOutcomeUnknownException), nameof(InvalidOperationException)],
            thrown);
        silo.Journal.Calm();
        await silo.GoneAsync(Ledger);
        Assert.Equal(new(1, 1, 1), await Ledger.Look());
        Assert.Equal(new(4, 2, 2), await Ledger.Add([3]));
    }

    // ---- views that nobody can copy

    [Fact]
    public async Task A_view_without_any_attribute_keeps_every_field_of_it()
    {
        Assert.Equal([new(0, 0, 0), new(1, 1, 1), new(1, 1, 1), new(1, 1, 0)], await ClosedLedger.AddInSlowMotion(1));
        Assert.True(await ClosedLedger.AddIf([2, 3, 4, 5, 6]));
        await silo.AppendBehindAsync($"closed-{_key}", new Credited(7));
        Assert.False(await ClosedLedger.AddIf([100]));
        Assert.Equal(new(28, 7, 7), await ClosedLedger.Look());
        Assert.Equal(new(36, 8, 8), await ClosedLedger.Add([8]));

        await ClosedLedger.Leave();
        await silo.GoneAsync(ClosedLedger);

        Assert.Equal(new(36, 8, 8), await ClosedLedger.Look());
        Assert.Equal(0, await silo.ScalarAsync<long>("SELECT count(*) FROM journal.snapshots WHERE stream_id LIKE 'closed-%'"));
    }

    // ---- outcomes that come in another order than that in which they were sent

    [Fact]
    public async Task Outcomes_that_arrive_out_of_order_are_taken_in_order_and_nothing_is_loaded_again()
    {
        await Purse.Put(Guid.NewGuid(), 100);
        var (appends, late, passed) = (0, Signal(), Signal());
        silo.Journal.OnAppend = async (_, go) =>
        {
            var number = Interlocked.Increment(ref appends);
            var outcome = await go();
            if (number == 1)
                await late.Task;
            else if (number == 3)
                passed.SetResult();
            return outcome;
        };
        var loads = silo.Journal.Loads(PurseStream);

        Task<PurseReply>[] puts = [Purse.Put(Guid.NewGuid(), 1), Purse.Put(Guid.NewGuid(), 2), Purse.Put(Guid.NewGuid(), 3)];
        await passed.Task.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        // Behind the outcomes of the second and the third.
        await EnteredAsync(4);
        late.SetResult();

        Assert.All(await Task.WhenAll(puts), reply => Assert.Equal("Appended", reply.Outcome));
        Assert.Equal(loads, silo.Journal.Loads(PurseStream));
        Assert.Equal((106, 4), await ReadAsync());
    }

    [Fact]
    public async Task A_confirmed_read_shows_everything_below_the_head_that_it_names()
    {
        await Purse.Put(Guid.NewGuid(), 100);
        var (late, committed) = (Signal(), Signal());
        silo.Journal.OnAppend = async (_, go) =>
        {
            var outcome = await go();
            committed.TrySetResult();
            await late.Task;
            return outcome;
        };
        var asked = Signal();
        silo.Journal.OnAsk = async (_, go) =>
        {
            var answer = await go();
            asked.TrySetResult();
            return answer;
        };

        var put = Purse.Put(Guid.NewGuid(), 5);
        await committed.Task.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        var read = Purse.Read();
        await asked.Task.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        await EnteredAsync(3);
        Assert.False(read.IsCompleted);
        late.SetResult();

        var position = await silo.ScalarAsync<long>(
            $"SELECT position FROM journal.events WHERE stream_id = '{PurseStream}' AND version = 2");
        var seen = await read;
        Assert.Equal(("Confirmed", 105L, 2), (seen.Outcome, seen.Balance, seen.Version));
        Assert.True(seen.Head >= position, $"{seen.Head} is before {position}");
        Assert.Equal("Appended", (await put).Outcome);
    }

    [Fact]
    public async Task A_replay_that_a_stale_activation_answers_is_heard_with_the_state_that_it_belongs_to()
    {
        Assert.Equal(0, (await Purse.Read()).Version);
        var command = await silo.AppendBehindAsync(PurseStream, new Credited(100), new Credited(1));

        // Without a hash, nobody knows whether it was the same command.
        Assert.Equal(new("IdReused", 101, 2), await Purse.Put(command, 100));
    }

    [Fact]
    public async Task A_duplicate_of_a_command_in_flight_waits_for_the_same_commit_and_is_judged_then()
    {
        await Purse.Put(Guid.NewGuid(), 100);
        var (command, appends, mayLeave, sent) = (Guid.NewGuid(), 0, Signal(), Signal());
        silo.Journal.OnAppend = async (_, go) =>
        {
            Interlocked.Increment(ref appends);
            var outcome = await go();
            sent.TrySetResult();
            await mayLeave.Task;
            return outcome;
        };

        var first = Purse.Take(command, 60);
        await sent.Task.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        var same = Purse.Put(command, -60);
        var other = Purse.Take(command, 50);
        await EnteredAsync(4);
        Assert.Equal(1, Volatile.Read(ref appends));
        Assert.False(same.IsCompleted || other.IsCompleted);
        mayLeave.SetResult();

        Assert.Equal("Appended", (await first).Outcome);
        Assert.Equal("AlreadyAppended", (await same).Outcome);
        Assert.Equal("IdReused", (await other).Outcome);
        Assert.Equal((40, 2), await ReadAsync());
    }

    [Fact]
    public async Task A_duplicate_that_was_decided_on_what_was_not_written_is_a_conflict()
    {
        await Purse.Put(Guid.NewGuid(), 100);
        var (command, mayLeave) = (Guid.NewGuid(), Signal());
        silo.Journal.OnAppend = async (_, _) =>
        {
            await mayLeave.Task;
            return AppendOutcome.Overloaded.Instance;
        };
        var first = Purse.TakeNow(command, 40);
        var duplicate = Purse.TakeNow(command, 40);
        await EnteredAsync(3);
        mayLeave.SetResult();

        Assert.Equal("Overloaded", (await first).Outcome);
        Assert.Equal("Conflict", (await duplicate).Outcome);
        silo.Journal.Calm();
        Assert.Equal((100, 1), await ReadAsync());
    }

    private static TaskCompletionSource Signal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async Task EnteredAsync(int calls) => await Eventually.UntilAsync(
        $"{calls} calls have come in", Purse.Entered, seen => seen >= calls, TimeSpan.FromSeconds(60));

    private async Task<(long, int)> ReadAsync()
    {
        var read = await Purse.Read();
        Assert.Equal("Confirmed", read.Outcome);
        return (read.Balance, read.Version);
    }

    private static AppendOutcome Outcome(string name) => name switch
    {
        "Overloaded" => AppendOutcome.Overloaded.Instance,
        "Unavailable" => AppendOutcome.Unavailable.Instance,
        "Unknown" => AppendOutcome.Unknown.Instance,
        _ => new AppendOutcome.Invalid("because"),
    };
}
