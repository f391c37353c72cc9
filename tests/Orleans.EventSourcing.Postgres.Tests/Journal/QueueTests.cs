using Bank.Testing;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Journal;

/// <summary>The writer is kept busy by a held head, so that whatever is handed over waits.</summary>
public sealed class QueueTests(PrivatePostgres postgres) : JournalTest(postgres)
{
    [Fact]
    public async Task A_queue_that_is_full_of_events_makes_appends_wait_and_then_says_that_it_is_overloaded()
    {
        var (journal, head, busy) = await BusyAsync(o => (o.QueueEvents, o.QueueWait) = (6, TimeSpan.FromMilliseconds(200)));
        var admitted = new[] { 1, 2, 3 }.Select(n => AppendAsync(journal, Make.Several($"account-{n}", StreamState.Empty, 2))).ToList();
        var standing = Make.First("account-4");
        var felled = standing.Next();

        Assert.IsType<AppendOutcome.Overloaded>(await journal.AppendAsync(standing));
        Assert.IsType<AppendOutcome.Overloaded>(standing.Epoch.EndedBy);
        Assert.All(admitted, append => Assert.False(append.IsCompleted));
        await head.ReleaseAsync();
        Assert.IsType<AppendOutcome.Overloaded>(await journal.AppendAsync(felled));
        Assert.All(await Task.WhenAll(admitted), outcome => Assert.IsType<AppendOutcome.Appended>(outcome));
        await busy;
        Assert.Equal(7, await CountEventsAsync());
    }

    [Fact]
    public async Task A_queue_that_is_full_of_bytes_does_the_same_and_a_question_too_is_told()
    {
        var (journal, head, busy) = await BusyAsync(o => (o.QueueBytes, o.QueueWait) = (10_000, TimeSpan.FromMilliseconds(200)));
        var large = Make.First("account-1") with { Events = [Make.Event(data: $"\"{new string('x', 9_600)}\"")] };
        var admitted = AppendAsync(journal, large);

        Assert.IsType<AppendOutcome.Overloaded>(await journal.AppendAsync(Make.First("account-2")));
        Assert.IsType<Answer.Overloaded>(await journal.AskAsync(new("account-2", null)));
        await head.ReleaseAsync();
        Assert.IsType<AppendOutcome.Appended>(await admitted);
        await busy;
    }

    [Fact]
    public async Task Who_stands_in_line_is_let_in_as_soon_as_there_is_room()
    {
        var (journal, head, busy) = await BusyAsync(o => (o.QueueEvents, o.QueueWait) = (2, TimeSpan.FromSeconds(60)));
        var appends = Enumerable.Range(0, 50).Select(n => Make.First($"account-{n}")).ToList();
        var outcomes = appends.Select(append => AppendAsync(journal, append)).ToList();
        await head.ReleaseAsync();

        Assert.All(await Task.WhenAll(outcomes), outcome => Assert.IsType<AppendOutcome.Appended>(outcome));
        await busy;
        Assert.Equal(appends.Select(append => append.StreamId), (await OrderAsync(journal)).Skip(1));
    }

    [Fact]
    public async Task The_later_steps_of_work_that_has_begun_pass_new_commands_and_take_their_streams_earlier_appends_along()
    {
        var (journal, head, busy) = await BusyAsync();
        var (one, two, three) = (Make.First("account-1"), Make.First("account-2"), Make.First("account-3"));
        var step = two.Next(lane: Lane.Priority);
        var afterwards = step.Next();
        var other = Make.First("account-4") with { Lane = Lane.Priority };
        var outcomes = new[] { one, two, three, step, afterwards, other }.Select(append => AppendAsync(journal, append)).ToList();
        await head.ReleaseAsync();
        Assert.All(await Task.WhenAll(outcomes), outcome => Assert.IsType<AppendOutcome.Appended>(outcome));
        await busy;

        Assert.Equal(
            ["busy-1", "account-2", "account-2", "account-4", "account-1", "account-3", "account-2"], await OrderAsync(journal));
    }

    [Fact]
    public async Task The_order_of_a_stream_holds_in_line_and_behind_what_the_clock_has_answered()
    {
        // Room for four: the rest stands in line, and some of it is told that the queue is overloaded, in the middle of everything.
        var (journal, head, busy) = await BusyAsync(o => (o.QueueEvents, o.QueueWait) = (4, TimeSpan.FromMilliseconds(100)));
        var filling = Enumerable.Range(0, 4).Select(n => AppendAsync(journal, Make.First($"filling-{n}"))).ToList();
        var overloaded = AppendAsync(journal, Make.First("account-1"));
        var passing = AppendAsync(journal, Make.First("account-1") with { Lane = Lane.Priority });
        Assert.IsType<AppendOutcome.Overloaded>(await AppendAsync(journal, Make.First("other")));
        var first = Make.First("account-2");
        List<Append> appends = [first, first.Next()];
        appends.Add(appends[1].Next(lane: Lane.Priority));
        var stream = appends.Select(append => AppendAsync(journal, append)).ToList();
        await head.ReleaseAsync();

        await Task.WhenAll([busy, .. filling, overloaded, passing]);
        Assert.All(await Task.WhenAll(stream), outcome => Assert.IsType<AppendOutcome.Appended>(outcome));
    }

    [Fact]
    public async Task A_random_mix_of_lanes_and_sizes_keeps_the_order_of_each_stream()
    {
        var random = new Random(20260315);
        var journal = Open(o => (o.QueueEvents, o.BatchEvents, o.QueueWait) = (20, 7, TimeSpan.FromSeconds(60)));
        var last = new Dictionary<int, Append>();
        List<Task<AppendOutcome>> outcomes = [];
        for (var i = 0; i < 400; i++)
        {
            var n = random.Next(8);
            var append = Make.Several(
                $"account-{n}",
                last.GetValueOrDefault(n)?.After ?? StreamState.Empty,
                random.Next(1, 4),
                epoch: last.GetValueOrDefault(n)?.Epoch);
            last[n] = append with { Lane = random.Next(3) == 0 ? Lane.Priority : Lane.Normal };
            outcomes.Add(AppendAsync(journal, last[n]));
            if (random.Next(20) == 0)
                await Task.Yield();
        }

        Assert.All(await Task.WhenAll(outcomes), outcome => Assert.IsType<AppendOutcome.Appended>(outcome));
        await Audit.VerifyAsync(App, Cancellation);
    }

    [Fact]
    public async Task A_call_carries_no_more_than_a_batch_and_an_append_that_is_larger_goes_alone()
    {
        var (journal, head, busy) = await BusyAsync(o => o.BatchEvents = 3);
        var outcomes = new[] { 1, 1, 5, 2, 2 }
            .Select((count, n) => AppendAsync(journal, Make.Several($"account-{n}", StreamState.Empty, count))).ToList();
        await head.ReleaseAsync();
        await Task.WhenAll(outcomes);
        await busy;

        Assert.Equal(
            "1,2,5,2,2",
            await ScalarAsync<string>(
                "SELECT string_agg((last_position - first_position + 1)::text, ',' ORDER BY batch) FROM journal.batches"));
    }

    [Fact]
    public async Task Closing_answers_everything_that_was_handed_over_and_nothing_that_comes_later_is_sent()
    {
        var (journal, head, busy) = await BusyAsync();
        var waiting = Enumerable.Range(0, 10).Select(n => AppendAsync(journal, Make.First($"account-{n}"))).ToList();
        var question = journal.AskAsync(new("account-9", null)).AsTask();
        var closing = journal.DisposeAsync().AsTask();
        Assert.IsType<AppendOutcome.Unavailable>(await journal.AppendAsync(Make.First("late-1")));
        Assert.IsType<Answer.Unavailable>(await journal.AskAsync(new("late-1", null)));
        await head.ReleaseAsync();
        await closing;

        Assert.True(busy.IsCompleted && waiting.All(append => append.IsCompleted) && question.IsCompleted);
        Assert.All(await Task.WhenAll(waiting), outcome => Assert.IsType<AppendOutcome.Appended>(outcome));
        Assert.Equal(1, Assert.IsType<Answer.Confirmed>(await question).Last.Version);
        Assert.Equal(11, await CountEventsAsync());
    }

    private static Task<AppendOutcome> AppendAsync(PostgresJournal journal, Append append) => journal.AppendAsync(append).AsTask();

    private async Task<IEnumerable<string>> OrderAsync(PostgresJournal journal) =>
        (await journal.ReadAllAsync(new(1), 100, Cancellation)).Select(e => e.StreamId);

    private async Task<(PostgresJournal Journal, HeldHead Head, Task<AppendOutcome> Busy)> BusyAsync(
        Action<PostgresJournalOptions>? configure = null)
    {
        var journal = Open(configure);
        var head = await HoldHeadAsync();
        var busy = AppendAsync(journal, Make.First("busy-1"));
        await WaitersAsync(1);
        return (journal, head, busy);
    }
}
