using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Bank.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Orleans.EventSourcing.Postgres.Tests.Journal;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Streaming;

public sealed class JournalTailerTests(PrivatePostgres postgres) : JournalTest(postgres)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly List<JournalTailer> _tailers = [];
    private PostgresJournal _journal = null!;
    private int _streams;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        _journal = Open();
    }

    public override async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        foreach (var tailer in _tailers)
            await tailer.DisposeAsync();
        await base.DisposeAsync();
    }

    [Fact]
    public async Task Subscribers_that_come_while_many_append_have_no_gap_and_no_repeat()
    {
        const int Writers = 8, PerWriter = 150, Subscribers = 40;
        // So little memory that subscribers meet every kind of place: the table, the window, and the edges between.
        var tailer = Tail(o => (o.WindowEvents, o.BatchEvents) = (64, 16));
        var writing = Enumerable.Range(0, Writers).Select(async writer =>
        {
            var append = Make.First($"account-{writer}");
            for (var n = 1; n <= PerWriter; n++, append = append.Next())
                Assert.IsType<AppendOutcome.Appended>(await _journal.AppendAsync(append));
        }).ToArray();

        var random = new Random(1);
        var subscribers = new List<Task<(long After, string? Stream, List<RecordedEvent> Heard)>>();
        for (var n = 0; n < Subscribers; n++)
        {
            var head = (await _journal.ReadHeadAsync(Cancellation)).Value;
            var after = n % 4 == 0 ? head : random.NextInt64(head + 1);
            var stream = n % 2 == 0 ? null : $"account-{n % Writers}";
            // Room for all: a machine that is busy elsewhere must not make anyone too slow.
            var subscription = await tailer.SubscribeAsync(new(after), stream, Writers * PerWriter, Cancellation);
            subscribers.Add(ReadAsync(subscription, after, stream));
        }

        await Task.WhenAll(writing);
        var all = await _journal.ReadAllAsync(new(1), Writers * PerWriter, Cancellation);
        foreach (var (after, stream, heard) in await Task.WhenAll(subscribers).WaitAsync(Patience, Cancellation))
            Assert.Equal(
                all.Where(e => e.Position.Value > after && (stream is null || e.StreamId == stream)).Select(e => e.Position),
                heard.Select(e => e.Position));

        async Task<(long, string?, List<RecordedEvent>)> ReadAsync(JournalSubscription subscription, long after, string? stream)
        {
            var heard = new List<RecordedEvent>();
            using (subscription)
            await foreach (var events in subscription.ReadAsync(Cancellation))
            {
                heard.AddRange(events);
                // Every writer's last event is its stream's last one, and one of them is the last of all.
                if (stream is null ? heard[^1].Position.Value == Writers * PerWriter : heard[^1].Version == PerWriter)
                    break;
                if (heard.Count % 7 == 0)
                    await Task.Delay(1, Cancellation);
            }

            return (after, stream, heard);
        }
    }

    [Fact]
    public async Task Subscribers_to_one_stream_that_come_and_go_have_no_gap_and_no_repeat()
    {
        const int Streams = 8, Times = 100;
        var tailer = Tail(o => (o.WindowEvents, o.BatchEvents) = (64, 16));
        var reading = Enumerable.Range(0, Streams).Select(ReadAsync).ToArray();
        await Task.WhenAll(reading.Select(WriteAsync)).WaitAsync(Patience, Cancellation);

        foreach (var (stream, times) in await Task.WhenAll(reading))
        {
            var all = await _journal.ReadStreamAsync(stream, 1, int.MaxValue, Cancellation);
            Assert.All(times, time => Assert.Equal(
                all.Select(e => e.Position).Where(p => p > time.After && p <= time.Heard[^1]), time.Heard));
        }

        // For some time it is the only one who follows its stream, and for some time nobody does.
        async Task<(string Stream, List<(Position After, List<Position> Heard)> Times)> ReadAsync(int number)
        {
            var (stream, times, random) = ($"account-{number}", new List<(Position, List<Position>)>(), new Random(number));
            var stands = default(Position);
            while (times.Count < Times)
            {
                var (after, heard, enough) = (random.Next(2) == 0 ? stands : tailer.Position, new List<Position>(), random.Next(1, 8));
                using var subscription = await tailer.SubscribeAsync(after, stream, 10_000, Cancellation);
                await foreach (var events in subscription.ReadAsync(Cancellation))
                {
                    heard.AddRange(events.Select(e => e.Position));
                    if (heard.Count >= enough)
                        break;
                }

                times.Add((after, heard));
                stands = heard[^1];
            }

            return (stream, times);
        }

        async Task WriteAsync(Task reader, int number)
        {
            for (var append = Make.First($"account-{number}"); !reader.IsCompleted; append = append.Next())
                Assert.IsType<AppendOutcome.Appended>(await _journal.AppendAsync(append));
        }
    }

    [Fact]
    public async Task What_nobody_follows_is_not_read()
    {
        const int Appends = 20, Events = 10;
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var meters = services.GetRequiredService<IMeterFactory>();
        using var reads = new TailReads(meters);
        var tailer = Tail(meters: meters);
        using var one = await tailer.SubscribeAsync(default, "account-1", 1_000, Cancellation);
        var others = Enumerable.Range(1, int.MaxValue).Select(n => $"other-{n}")
            .Where(stream => StreamSlot.Of(stream) != StreamSlot.Of("account-1")).Take(Appends);

        foreach (var other in others)
            Assert.IsType<AppendOutcome.Appended>(await _journal.AppendAsync(Make.Several(other, StreamState.Empty, Events)));
        Assert.IsType<AppendOutcome.Appended>(await _journal.AppendAsync(Make.First("account-1")));
        Assert.Single(await TakeAsync(one, 1));

        // Of each batch the last one, by which a restored journal is known.
        Assert.InRange(reads.Events, 1, Appends + 1);
        using var all = await tailer.SubscribeAsync(default, null, 1_000, Cancellation);
        Assert.Equal(Appends * Events + 1, (await TakeAsync(all, Appends * Events + 1)).Count);
    }

    [Fact]
    public async Task A_subscriber_that_is_too_slow_is_ended_and_goes_on_from_where_it_stands()
    {
        var tailer = Tail();
        using var slow = await tailer.SubscribeAsync(default, null, 50, Cancellation);
        using var quick = await tailer.SubscribeAsync(default, null, 50, Cancellation);
        await using var stuck = slow.ReadAsync(Cancellation).GetAsyncEnumerator(Cancellation);
        await using var reading = quick.ReadAsync(Cancellation).GetAsyncEnumerator(Cancellation);
        var heard = new List<long>();

        await AppendAsync();
        Assert.True(await stuck.MoveNextAsync());
        var stands = stuck.Current[^1].Position;
        var appended = 1;
        while (!slow.Ended.IsCancellationRequested)
        {
            Assert.True(appended < 1000, "The subscriber that reads nothing has not been ended.");
            await AppendAsync();
            appended++;
            while (heard.LastOrDefault() < appended && await reading.MoveNextAsync())
                heard.AddRange(reading.Current.Select(e => e.Position.Value));
        }

        var end = await Assert.ThrowsAsync<SubscriptionEndedException>(async () => await stuck.MoveNextAsync());
        Assert.Equal(SubscriptionEnd.TooSlow, end.End);
        Assert.InRange(appended, 50, 60);
        Assert.False(quick.Ended.IsCancellationRequested);
        Assert.Equal(Enumerable.Range(1, appended).Select(n => (long)n), heard);

        using var again = await tailer.SubscribeAsync(stands, null, 50, Cancellation);
        Assert.Equal(appended - stands.Value, (await TakeAsync(again, appended)).Count);
    }

    [Fact]
    public async Task A_position_beyond_the_head_is_refused()
    {
        var tailer = Tail();
        await AppendAsync();

        using var atHead = await tailer.SubscribeAsync(new(1), null, 10, Cancellation);
        var refusal = await Assert.ThrowsAsync<PositionBeyondHeadException>(() =>
            tailer.SubscribeAsync(new(2), null, 10, Cancellation));

        Assert.Equal(new Position(1), refusal.Head);
    }

    [Fact]
    public async Task A_connection_that_is_cut_is_made_again_at_once()
    {
        // It never looks by itself, so what arrives was announced, or was found on connecting.
        var tailer = Tail(o => o.PollInterval = TimeSpan.FromHours(1));
        using var subscription = await tailer.SubscribeAsync(default, null, 1_000, Cancellation);
        await using var reading = subscription.ReadAsync(Cancellation).GetAsyncEnumerator(Cancellation);

        for (var cut = 0; cut < 3; cut++)
        {
            await AppendAsync();
            await HearAsync(2 * cut + 1);
            await Postgres.AsSuperuserAsync(
                $"""
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE application_name = 'journal tail' AND datname = '{Database.Name}'
                """);
            await AppendAsync();
            await HearAsync(2 * cut + 2);
        }

        async Task HearAsync(long position)
        {
            Assert.True(await reading.MoveNextAsync().AsTask().WaitAsync(Patience, Cancellation));
            Assert.Equal([position], reading.Current.Select(e => e.Position.Value));
        }
    }

    [Fact]
    public async Task Words_of_several_silos_that_come_close_together_are_all_heard()
    {
        var tailer = Tail(o => o.PollInterval = TimeSpan.FromHours(1));
        using var subscription = await tailer.SubscribeAsync(default, null, 1_000, Cancellation);
        await using var reading = subscription.ReadAsync(Cancellation).GetAsyncEnumerator(Cancellation);

        // From several silos, so that one commits while the tailer reads what another has committed.
        PostgresJournal[] journals = [Open(), Open(), Open(), Open()];
        for (var appended = 4; appended <= 320; appended += 4)
        {
            await Task.WhenAll(journals.Select(journal => journal.AppendAsync(Make.First($"account-{Guid.NewGuid()}")).AsTask()));
            do
                Assert.True(await reading.MoveNextAsync().AsTask().WaitAsync(Patience, Cancellation));
            while (reading.Current[^1].Position.Value < appended);
        }
    }

    [Fact]
    public async Task A_connection_that_falls_silent_is_given_up()
    {
        await using var network = new TcpProxy(Database.App);
        var tailer = Tail(o => o.PollInterval = TimeSpan.FromMilliseconds(200), network.Through(Database.App));
        using var subscription = await tailer.SubscribeAsync(default, null, 1_000, Cancellation);

        var silent = network.Connections.Accepted;
        network.OnRequest = request => request.Connection <= silent ? Fault.SilentBefore : Fault.None;
        await Eventually.UntilAsync("the silent connection has been asked something", () => network.Requests > 5, Patience);
        await AppendAsync();

        Assert.Single(await TakeAsync(subscription, 1).WaitAsync(Patience, Cancellation));
        Assert.True(network.Connections.Accepted > silent);
    }

    [Fact]
    public async Task Without_a_word_the_tailer_looks_for_itself()
    {
        await using (var load = Owner.CreateCommand("SELECT pg_get_functiondef('journal.append'::regproc)"))
        {
            var function = (string)(await load.ExecuteScalarAsync(Cancellation))!;
            var silent = function.Replace("ignored := pg_notify('journal', last_position::text);", "", StringComparison.Ordinal);
            Assert.NotEqual(function, silent);
            await using var replace = Owner.CreateCommand(silent);
            await replace.ExecuteNonQueryAsync(Cancellation);
        }

        var tailer = Tail();
        using var subscription = await tailer.SubscribeAsync(default, null, 1_000, Cancellation);
        for (var n = 0; n < 3; n++)
            await AppendAsync();

        Assert.Equal(3, (await TakeAsync(subscription, 3).WaitAsync(Patience, Cancellation)).Count);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    public async Task A_journal_that_was_restored_ends_the_subscriptions(int appendedSince)
    {
        for (var n = 0; n < 5; n++)
            await AppendAsync();
        await using var network = new TcpProxy(Database.App);
        var tailer = Tail(o => o.PollInterval = TimeSpan.FromMilliseconds(100), network.Through(Database.App));
        using var subscription = await tailer.SubscribeAsync(new(4), null, 1_000, Cancellation);
        await using var reading = subscription.ReadAsync(Cancellation).GetAsyncEnumerator(Cancellation);
        Assert.True(await reading.MoveNextAsync());
        await AppendAsync();
        Assert.True(await reading.MoveNextAsync());
        using var stillInHistory = await tailer.SubscribeAsync(default, null, 1_000, Cancellation);
        await using var readingHistory = stillInHistory.ReadAsync(Cancellation).GetAsyncEnumerator(Cancellation);
        Assert.True(await readingHistory.MoveNextAsync());

        // The database was away, and came back from a backup; and perhaps others have appended again before this process sees it.
        network.Refusing = true;
        network.CutAll();
        await RestoreToAsync(3);
        for (var n = 0; n < appendedSince; n++)
            await AppendAsync();
        network.Refusing = false;

        var end = await Assert.ThrowsAsync<SubscriptionEndedException>(
            async () => await reading.MoveNextAsync().AsTask().WaitAsync(Patience, Cancellation));
        Assert.Equal(SubscriptionEnd.Restored, end.End);
        end = await Assert.ThrowsAsync<SubscriptionEndedException>(
            async () => await readingHistory.MoveNextAsync().AsTask().WaitAsync(Patience, Cancellation));
        Assert.Equal(SubscriptionEnd.Restored, end.End);

        await AppendAsync();
        using var after = await tailer.SubscribeAsync(new(3), null, 1_000, Cancellation);
        Assert.Equal(
            (await _journal.ReadAllAsync(new(4), 100, Cancellation)).Select(e => e.EventId),
            (await TakeAsync(after, 4 + appendedSince)).Select(e => e.EventId));
    }

    [Fact]
    public async Task A_journal_that_was_restored_is_known_by_an_event_that_nobody_follows()
    {
        for (var n = 0; n < 5; n++)
            await AppendAsync();
        await using var network = new TcpProxy(Database.App);
        var tailer = Tail(connection: network.Through(Database.App));
        using var subscription = await tailer.SubscribeAsync(default, "account-1", 1_000, Cancellation);
        await using var reading = subscription.ReadAsync(Cancellation).GetAsyncEnumerator(Cancellation);
        var waiting = reading.MoveNextAsync().AsTask();
        await AppendAsync();
        await Eventually.UntilAsync("the tailer has come to it", () => tailer.Position.Value == 6, Patience);

        network.Refusing = true;
        network.CutAll();
        await RestoreToAsync(3);
        for (var n = 0; n < 7; n++)
            await AppendAsync();
        network.Refusing = false;

        var end = await Assert.ThrowsAsync<SubscriptionEndedException>(() => waiting.WaitAsync(Patience, Cancellation));
        Assert.Equal(SubscriptionEnd.Restored, end.End);
    }

    [Fact]
    public async Task A_tailer_that_stops_says_so()
    {
        var tailer = Tail();
        await AppendAsync();
        using var subscription = await tailer.SubscribeAsync(default, null, 1_000, Cancellation);
        await using var reading = subscription.ReadAsync(Cancellation).GetAsyncEnumerator(Cancellation);
        Assert.True(await reading.MoveNextAsync());

        var waiting = reading.MoveNextAsync().AsTask();
        await tailer.DisposeAsync();

        var end = await Assert.ThrowsAsync<SubscriptionEndedException>(() => waiting.WaitAsync(Patience, Cancellation));
        Assert.Equal(SubscriptionEnd.Stopping, end.End);
    }

    private JournalTailer Tail(
        Action<JournalStreamOptions>? configure = null, string? connection = null, IMeterFactory? meters = null)
    {
        var options = new JournalStreamOptions();
        configure?.Invoke(options);
        var tailer = new JournalTailer(
            new() { ConnectionString = connection ?? Database.App }, options, _journal, TimeProvider.System,
            NullLogger<JournalTailer>.Instance, meters);
        _tailers.Add(tailer);
        return tailer;
    }

    private async Task AppendAsync() => Assert.IsType<AppendOutcome.Appended>(
        await _journal.AppendAsync(Make.First($"other-{Interlocked.Increment(ref _streams)}")));

    private static async Task<List<RecordedEvent>> TakeAsync(JournalSubscription subscription, long upTo)
    {
        var heard = new List<RecordedEvent>();
        await foreach (var events in subscription.ReadAsync(Cancellation))
        {
            heard.AddRange(events);
            if (heard[^1].Position.Value >= upTo)
                break;
        }

        return heard;
    }
}
