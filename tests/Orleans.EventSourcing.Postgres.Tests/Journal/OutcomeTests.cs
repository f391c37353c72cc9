using Bank.Testing;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Journal;

public sealed class OutcomeTests(PrivatePostgres postgres) : JournalTest(postgres)
{
    [Fact]
    public async Task An_append_to_a_new_stream_is_durable_and_reads_back()
    {
        var journal = Open();
        var append = Make.First("account-1");

        var outcome = Assert.IsType<AppendOutcome.Appended>(await journal.AppendAsync(append));

        Assert.Equal(append.After, outcome.Last);
        Assert.Equal(new Position(1), outcome.LastPosition);
        var recorded = Assert.Single(await journal.ReadStreamAsync("account-1", 1, 10, Cancellation));
        Assert.Equal((outcome.LastPosition, append.Events[0].EventId, "account-1", 1L, "MoneyDeposited", outcome.RecordedAt),
            (recorded.Position, recorded.EventId, recorded.StreamId, recorded.Version, recorded.EventType, recorded.RecordedAt));
        Assert.Equal("""{"amount": "1.00"}""", System.Text.Encoding.UTF8.GetString(recorded.Data.Span));
        Assert.Equal(recorded, (await journal.ReadEventAsync(recorded.EventId, Cancellation))! with
        {
            Data = recorded.Data,
            Metadata = recorded.Metadata,
        });
        Assert.Null(append.Epoch.EndedBy);
    }

    [Fact]
    public async Task The_events_of_a_command_are_appended_together_and_follow_each_other()
    {
        var journal = Open();
        var opening = Make.Several("transfer-1", StreamState.Empty, 3);
        var next = Make.Several("transfer-1", opening.After, 2);

        var (first, second) = (await journal.AppendAsync(opening), await journal.AppendAsync(next));

        Assert.Equal((new(3, opening.Events[2].EventId), new(3)), Appended(first));
        Assert.Equal((new(5, next.Events[1].EventId), new(5)), Appended(second));
        Assert.Equal(
            [.. opening.Events.Concat(next.Events).Select(e => e.EventId)],
            (await journal.ReadStreamAsync("transfer-1", 1, 10, Cancellation)).Select(e => e.EventId));
        await Audit.VerifyAsync(App, Cancellation);
    }

    [Theory]
    [InlineData("a version that others have taken")]
    [InlineData("a version beyond the end")]
    [InlineData("the last version with another event's id")]
    [InlineData("a beginning of a stream that exists")]
    [InlineData("a continuation of a stream that does not exist")]
    public async Task An_append_that_does_not_expect_the_last_state_conflicts_and_writes_nothing(string expected)
    {
        var journal = Open();
        var first = Make.First("account-1");
        var second = first.Next();
        await journal.AppendAsync(first);
        await journal.AppendAsync(second);
        var (stream, state, actual) = expected switch
        {
            "a version that others have taken" => ("account-1", first.After, 2L),
            "a version beyond the end" => ("account-1", new StreamState(3, Guid.NewGuid()), 2),
            "the last version with another event's id" => ("account-1", new StreamState(2, Guid.NewGuid()), 2),
            "a beginning of a stream that exists" => ("account-1", StreamState.Empty, 2),
            _ => ("account-2", first.After, 0),
        };
        var append = new Append(stream, state, [Make.Event()], new());

        await WritesNothingAsync(async () => Assert.Equal(new AppendOutcome.Conflict(actual), await journal.AppendAsync(append)));
        Assert.Equal(new AppendOutcome.Conflict(actual), append.Epoch.EndedBy);
    }

    [Fact]
    public async Task What_is_recorded_as_asked_is_exactly_appended_already_and_its_epoch_goes_on()
    {
        var journal = Open();
        var append = Make.Several("account-1", StreamState.Empty, 3);
        await journal.AppendAsync(append);
        await journal.AppendAsync(new Append("account-1", append.After, [Make.Event()], new()));
        var again = append.Again();

        await WritesNothingAsync(async () =>
        {
            var already = Assert.IsType<AppendOutcome.AlreadyAppended>(await journal.AppendAsync(again));
            Assert.True(already.Exact);
            Assert.Equal(append.Events.Select(e => e.EventId), already.Recorded.Select(e => e.EventId));
            Assert.Equal([1L, 2, 3], already.Recorded.Select(e => e.Version));
        });
        Assert.Null(again.Epoch.EndedBy);
    }

    [Theory]
    [InlineData("at another version")]
    [InlineData("with other data")]
    [InlineData("as another type")]
    [InlineData("with another schema version")]
    [InlineData("with fewer events")]
    [InlineData("with more events")]
    [InlineData("after another event")]
    public async Task The_same_command_decided_otherwise_is_appended_already_but_its_epoch_ends(string difference)
    {
        var journal = Open();
        var before = new Append("account-1", StreamState.Empty, [Make.Event()], new());
        await journal.AppendAsync(before);
        var append = Make.Several("account-1", before.After, 2);
        await journal.AppendAsync(append);
        var recorded = append.Events[1];
        var retry = difference switch
        {
            "at another version" => append.Again(append.After),
            "with other data" => append.Again() with { Events = [append.Events[0], recorded with { Data = "{}"u8.ToArray() }] },
            "as another type" => append.Again() with { Events = [append.Events[0], recorded with { EventType = "MoneyWithdrawn" }] },
            "with another schema version" => append.Again() with { Events = [append.Events[0], recorded with { SchemaVersion = 2 }] },
            "with fewer events" => append.Again() with { Events = [append.Events[0]] },
            // As after a restore, when the stream has gone another way below it.
            "after another event" => append.Again(new StreamState(1, Guid.NewGuid())),
            _ => append.Again() with { Events = [.. append.Events, Make.Event(n: 3, of: 3, command: append.Events[0].EventId)] },
        };

        await WritesNothingAsync(async () =>
        {
            var already = Assert.IsType<AppendOutcome.AlreadyAppended>(await journal.AppendAsync(retry));
            Assert.False(already.Exact);
            Assert.Equal(append.Events.Select(e => e.EventId), already.Recorded.Select(e => e.EventId));
        });
        Assert.NotNull(retry.Epoch.EndedBy);
    }

    [Theory]
    [InlineData("another command in the same stream")]
    [InlineData("the same command in another stream")]
    [InlineData("a command whose id is a later event's of another one")]
    [InlineData("a command of which only a later event's id is known")]
    public async Task An_id_that_belongs_to_something_else_is_reused_and_tells_what_it_belongs_to(string what)
    {
        var journal = Open();
        var append = Make.Several("account-1", StreamState.Empty, 2);
        await journal.AppendAsync(append);
        var (first, second) = (append.Events[0], append.Events[1]);
        var reusing = what switch
        {
            "another command in the same stream" =>
                new Append("account-1", append.After, [Make.Event(first.EventId, hash: [9])], new()),
            "the same command in another stream" => append.Again() with { StreamId = "account-2" },
            "a command whose id is a later event's of another one" =>
                new Append("account-1", append.After, [Make.Event(second.EventId)], new()),
            _ => new Append("account-1", append.After, [Make.Event(), second], new()),
        };

        await WritesNothingAsync(async () =>
        {
            var reused = Assert.IsType<AppendOutcome.IdReused>(await journal.AppendAsync(reusing));
            Assert.Equal([first.EventId, second.EventId], reused.Recorded.Select(e => e.EventId));
        });
        Assert.IsType<AppendOutcome.IdReused>(reusing.Epoch.EndedBy);
    }

    [Fact]
    public async Task Of_two_racing_appends_of_one_version_one_is_appended_and_the_other_conflicts()
    {
        var (one, other) = (Open(), Open());
        for (var i = 0; i < 10; i++)
        {
            var stream = $"account-{i}";
            var outcomes = await Task.WhenAll(
                one.AppendAsync(Make.First(stream)).AsTask(), other.AppendAsync(Make.First(stream)).AsTask());
            Assert.Single(outcomes.OfType<AppendOutcome.Appended>());
            Assert.Single(outcomes.OfType<AppendOutcome.Conflict>(), new AppendOutcome.Conflict(1));
        }

        var command = Make.First("account-x");
        Assert.Single((await Task.WhenAll(one.AppendAsync(command).AsTask(), other.AppendAsync(command.Again()).AsTask()))
            .OfType<AppendOutcome.Appended>());
        Assert.Equal(11, await CountEventsAsync());
        await Audit.VerifyAsync(App, Cancellation);
    }

    [Fact]
    public async Task A_bad_append_does_not_cost_its_neighbours_in_the_same_call()
    {
        var journal = Open();
        var known = Make.First("account-known");
        await journal.AppendAsync(known);
        var (good, twin) = (Make.First("account-good"), Make.First("account-twin"));

        var outcomes = await InOneCallAsync(
            journal,
            good,
            Make.First("account-known"),
            good.Next(),
            known.Again(),
            known.Again() with { StreamId = "account-other" },
            twin,
            twin.Again(),
            Make.Several("account-last", StreamState.Empty, 2));

        Assert.Equal(
            ["Appended", "Conflict", "Appended", "AlreadyAppended", "IdReused", "Appended", "AlreadyAppended", "Appended"],
            outcomes.Select(outcome => outcome.GetType().Name));
        // Busy, known, and the call's own batch of good's two, twin's one and last's two.
        Assert.Equal((7L, 3L), (await CountEventsAsync(), await ScalarAsync<long>("SELECT batch FROM journal.head")));
        foreach (var appended in outcomes.OfType<AppendOutcome.Appended>())
            Assert.Equal(
                appended.Last.EventId,
                await ScalarAsync<Guid>($"SELECT event_id FROM journal.events WHERE position = {appended.LastPosition.Value}"));
        await Audit.VerifyAsync(App, Cancellation);
    }

    [Fact]
    public async Task Data_that_Postgres_refuses_is_halved_down_to_the_culprits_and_the_rest_is_committed()
    {
        var journal = Open();
        string[] bad = ["{", """{"x":"\u0000"}""", """{"x":"\ud800"}""", "\u00ff\u00fe"];
        List<Append> appends = [.. Enumerable.Range(0, 20).Select(n => Make.First($"account-{n}"))];
        for (var i = 0; i < bad.Length; i++)
            appends.Insert(i * 5, Make.First($"bad-{i}") with { Events = [Make.Event(data: bad[i])] });
        appends.Insert(3, Make.First("bad-schema") with { Events = [Make.Event() with { SchemaVersion = 0 }] });
        appends.Insert(9, Make.First("bad-bytes") with { Events = [Make.Event() with { Data = new byte[] { 0xC3, 0x28 } }] });
        appends.Insert(11, Make.First("bad-metadata") with { Events = [Make.Event() with { Metadata = "[]"u8.ToArray() }] });

        var outcomes = await InOneCallAsync(journal, [.. appends]);

        Assert.All(appends.Zip(outcomes), pair => Assert.Equal(
            pair.First.StreamId.StartsWith("bad", StringComparison.Ordinal) ? "Invalid" : "Appended", pair.Second.GetType().Name));
        Assert.Equal(21, await CountEventsAsync());
        // In the order in which they were handed over, however they were halved.
        Assert.Equal(
            appends.Zip(outcomes).Where(pair => pair.Second is AppendOutcome.Appended).Select(pair => pair.First.Events[0].EventId),
            (await journal.ReadAllAsync(new(2), 100, Cancellation)).Select(e => e.EventId));
        await Audit.VerifyAsync(App, Cancellation);
    }

    [Theory]
    [InlineData("no events")]
    [InlineData("a negative version")]
    [InlineData("an empty stream")]
    [InlineData("a stream of 201 characters")]
    [InlineData("a NUL in the stream")]
    [InlineData("a lone surrogate in the type")]
    [InlineData("a type of 101 characters")]
    [InlineData("an id twice")]
    [InlineData("more events than the queue has room for")]
    [InlineData("more bytes than the queue has room for")]
    public async Task What_could_never_be_stored_is_invalid_without_a_call(string flaw)
    {
        var journal = Open(o => (o.QueueEvents, o.QueueBytes) = (10, 10_000));
        var good = Make.First("account-1");
        var e = good.Events[0];
        var append = flaw switch
        {
            "no events" => good with { Events = [] },
            "a negative version" => good with { Expected = new(-1, e.EventId) },
            "an empty stream" => good with { StreamId = "" },
            "a stream of 201 characters" => good with { StreamId = new string('s', 201) },
            "a NUL in the stream" => good with { StreamId = "account-\0" },
            "a lone surrogate in the type" => good with { Events = [e with { EventType = "Money\ud800" }] },
            "a type of 101 characters" => good with { Events = [e with { EventType = new string('t', 101) }] },
            "an id twice" => good with { Events = [e, e] },
            "more events than the queue has room for" => Make.Several("account-1", StreamState.Empty, 11),
            _ => good with { Events = [Make.Event(data: $"\"{new string('x', 10_000)}\"")] },
        };

        Assert.IsType<AppendOutcome.Invalid>(await journal.AppendAsync(append));
        Assert.IsType<AppendOutcome.Invalid>(append.Epoch.EndedBy);
        Assert.Equal(0, await ScalarAsync<long>("SELECT count(*) FROM journal.writers"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_decision_that_stands_on_one_that_fell_falls_in_the_same_call(bool knowsTheLastState)
    {
        var journal = Open();
        var (balance, emptied) = await EmptiedAccountAsync(journal);
        var sixty = balance.Next(epoch: new());
        var forty = knowsTheLastState ? emptied.Next(epoch: sixty.Epoch) : sixty.Next();

        var outcomes = await InOneCallAsync(journal, sixty, forty);

        Assert.Equal([new AppendOutcome.Conflict(2), AppendOutcome.Conflict.Felled], outcomes);
        Assert.Equal(emptied.Events[0].EventId, await LastOf("account-1"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_decision_that_stands_on_one_that_fell_falls_in_the_queue(bool knowsTheLastState)
    {
        // Each call carries one append, so that the second waits in the queue while the first falls.
        var journal = Open(o => o.BatchEvents = 1);
        var (balance, emptied) = await EmptiedAccountAsync(journal);
        var sixty = balance.Next(epoch: new());
        var forty = knowsTheLastState ? emptied.Next(epoch: sixty.Epoch) : sixty.Next();

        var outcomes = await InOneCallAsync(journal, sixty, forty);

        Assert.Equal([new AppendOutcome.Conflict(2), AppendOutcome.Conflict.Felled], outcomes);
        Assert.Equal(emptied.Events[0].EventId, await LastOf("account-1"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_decision_that_stands_on_one_that_fell_falls_when_it_comes_later(bool knowsTheLastState)
    {
        var journal = Open();
        var (balance, emptied) = await EmptiedAccountAsync(journal);
        var sixty = balance.Next(epoch: new());
        var forty = knowsTheLastState ? emptied.Next(epoch: sixty.Epoch) : sixty.Next();

        Assert.Equal(new AppendOutcome.Conflict(2), await journal.AppendAsync(sixty));
        Assert.Equal(AppendOutcome.Conflict.Felled, await journal.AppendAsync(forty));
        Assert.Equal(emptied.Events[0].EventId, await LastOf("account-1"));
    }

    [Fact]
    public async Task A_question_is_answered_behind_everything_that_was_handed_over_before_it()
    {
        var journal = Open();
        var command = Make.Several("account-1", StreamState.Empty, 2);
        List<Append> appends = [command];
        for (var i = 0; i < 20; i++)
            appends.Add(appends[^1].Next());

        var outcomes = appends.Select(append => journal.AppendAsync(append).AsTask()).ToList();
        var answer = Assert.IsType<Answer.Confirmed>(await journal.AskAsync(new("account-1", command.Events[1].EventId)));

        Assert.Equal(appends[^1].After, answer.Last);
        Assert.Equal(command.Events.Select(e => e.EventId), answer.Recorded.Select(e => e.EventId));
        Assert.True(answer.Head.Value >= 22);
        Assert.All(await Task.WhenAll(outcomes), outcome => Assert.IsType<AppendOutcome.Appended>(outcome));
    }

    [Fact]
    public async Task A_question_finds_what_another_silo_has_written_and_an_unknown_stream_at_version_0()
    {
        var (one, other) = (Open(), Open());
        var append = Make.First("account-1");
        await one.AppendAsync(append);

        await WritesNothingAsync(async () =>
        {
            var known = Assert.IsType<Answer.Confirmed>(await other.AskAsync(new("account-1", append.Events[0].EventId)));
            var unknown = Assert.IsType<Answer.Confirmed>(await other.AskAsync(new("account-2", Guid.NewGuid())));
            var elsewhere = Assert.IsType<Answer.Confirmed>(await other.AskAsync(new("account-2", append.Events[0].EventId)));
            Assert.Equal((append.After, 1), (known.Last, known.Recorded.Count));
            Assert.Equal((StreamState.Empty, 0), (unknown.Last, unknown.Recorded.Count));
            Assert.Equal("account-1", Assert.Single(elsewhere.Recorded).StreamId);
        });
        await Assert.ThrowsAsync<ArgumentException>(() => one.AskAsync(new("", null)).AsTask());
    }

    [Fact]
    public async Task A_question_that_Postgres_refuses_costs_neither_appends_nor_other_questions()
    {
        var journal = Open();
        var broken = Make.First("account-broken") with
        {
            Events = [Make.Event() with { Metadata = """{"n":"one"}"""u8.ToArray() }],
        };
        Assert.IsType<AppendOutcome.Appended>(await journal.AppendAsync(broken));
        await using var head = await HoldHeadAsync();
        var busy = journal.AppendAsync(Make.First("busy")).AsTask();
        await WaitersAsync(1);
        var append = journal.AppendAsync(Make.First("account-1")).AsTask();
        var questions = new[] { broken.Events[0].EventId, Guid.NewGuid(), Guid.NewGuid() }
            .Select(command => journal.AskAsync(new("account-1", command)).AsTask()).ToList();
        await head.ReleaseAsync();

        Assert.IsType<AppendOutcome.Appended>(await append);
        Assert.Equal(["Unavailable", "Confirmed", "Confirmed"], (await Task.WhenAll(questions)).Select(answer => answer.GetType().Name));
    }

    [Fact]
    public async Task An_activation_hears_outcomes_and_answers_in_the_order_of_the_record()
    {
        const int count = 60;
        var journal = Open(o => o.BatchEvents = 10);
        var heard = new List<int>();
        // One thing at a time, in the order in which it was scheduled: a grain's scheduler.
        var activation = new TaskFactory(new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler);
        await using var head = await HoldHeadAsync();
        var all = activation.StartNew(
            () =>
            {
                List<Task> hearing = [];
                var append = Make.First("account-1");
                for (var i = 0; i < count; i++, append = append.Next())
                    hearing.Add(HearAsync(i, journal.AppendAsync(append)));
                hearing.Add(HearAsync(count, journal.AskAsync(new("account-1", null))));
                return Task.WhenAll(hearing);
            },
            Cancellation);
        await WaitersAsync(1);
        await head.ReleaseAsync();
        await await all;

        Assert.Equal(Enumerable.Range(0, count + 1), heard);

        async Task HearAsync<T>(int n, ValueTask<T> task)
        {
            await task;
            heard.Add(n);
        }
    }

    private static (StreamState Last, Position LastPosition) Appended(AppendOutcome outcome)
    {
        var appended = Assert.IsType<AppendOutcome.Appended>(outcome);
        return (appended.Last, appended.LastPosition);
    }

    // A balance that this activation knows, and the withdrawal of all of it by another one.
    private static async Task<(Append Balance, Append Emptied)> EmptiedAccountAsync(PostgresJournal journal)
    {
        var balance = Make.First("account-1");
        var emptied = balance.Next(epoch: new());
        Assert.IsType<AppendOutcome.Appended>(await journal.AppendAsync(balance));
        Assert.IsType<AppendOutcome.Appended>(await journal.AppendAsync(emptied));
        return (balance, emptied);
    }

    private Task<Guid> LastOf(string stream) =>
        ScalarAsync<Guid>($"SELECT event_id FROM journal.events WHERE stream_id = '{stream}' ORDER BY version DESC LIMIT 1");

    private async Task WritesNothingAsync(Func<Task> act)
    {
        var before = await RecordAsync();
        await act();
        Assert.Equal(before, await RecordAsync());
    }
}
