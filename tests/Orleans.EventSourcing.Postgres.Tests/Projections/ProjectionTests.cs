using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Bank.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Npgsql;
using Orleans.EventSourcing.Postgres.Tests.Journal;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Projections;

public sealed class ProjectionTests(PrivatePostgres postgres) : JournalTest(postgres)
{
    private const int Partitions = 4;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly OperatorAct Act = new("an operator", "a test");

    private readonly List<ProjectionRuntime> _runtimes = [];
    private readonly List<ProjectionPartition> _open = [];
    private readonly ConcurrentDictionary<string, Append> _streams = [];
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();

    public override async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await CloseAsync();
        foreach (var runtime in _runtimes)
            await runtime.DisposeAsync();
        await _services.DisposeAsync();
        await base.DisposeAsync();
    }

    [Fact]
    public async Task A_delivery_that_was_lost_is_read_from_the_table_when_a_reader_asks_for_its_position()
    {
        await OpenAsync(new CountedEvents());
        var last = await AppendAsync(20);
        await ReachedAsync(last);
        Assert.Equal(20, await CountedAsync());
    }

    [Fact]
    public async Task A_checkpoint_advances_over_events_of_others_without_a_word_to_the_tables()
    {
        await OpenAsync(new CountedEvents());
        await AppendAsync(3);
        for (var n = 0; n < 5; n++)
            await AppendAsync("ignored", type: "SomethingElse");
        var last = await ScalarAsync<long>("SELECT position FROM journal.head");
        await new JournalDelivery(App, Partitions) { Receivers = { _open[0], _open[1], _open[2], _open[3] } }.DeliverAsync(2);
        await Eventually.UntilAsync(
            "all checkpoints are durable at the head",
            () => ScalarAsync<long>("SELECT readmodel.as_of('counted', NULL, NULL)"),
            position => position == last,
            Patience);
        Assert.Equal(3, await CountedAsync());
    }

    [Fact]
    public async Task An_interval_of_a_silo_with_another_number_of_partitions_steps_over_nothing()
    {
        await OpenAsync(new CountedEvents());
        await Eventually.UntilAsync("all run", () => _open.All(p => p.Serving?.State == PartitionState.Running), Patience);
        var last = await AppendAsync(20);
        foreach (var partition in _open)
            partition.Offer(new(partition.Partition with { Count = 2 * Partitions }, default, last, []));
        await Eventually.UntilAsync("all have handled it", () => _open.All(p => p.Serving?.Position >= last), Patience);
        Assert.Equal(20, await CountedAsync());
    }

    [Fact]
    public async Task Tables_of_another_number_of_partitions_are_as_of_the_partition_that_is_furthest_behind()
    {
        await OpenAsync(new CountedEvents());
        await CloseAsync();
        await ExecuteAsync("UPDATE readmodel.checkpoints SET position = 10 + partition");
        Assert.Equal(12, await ScalarAsync<long>("SELECT readmodel.as_of('counted', 2, 4)"));
        Assert.Equal(10, await ScalarAsync<long>("SELECT readmodel.as_of('counted', 2, 2)"));
        Assert.Equal(10, await ScalarAsync<long>("SELECT readmodel.as_of('counted', 6, 8)"));
        var more = Runtime(new CountedEvents(), new() { Partitions = 8 });
        Assert.Equal([("counted", "partitions 4 -> 8")], await more.EnsureAsync(Cancellation));
    }

    [Fact]
    public async Task A_partition_that_parks_in_tables_that_are_being_filled_is_seen_and_can_be_helped()
    {
        await OpenAsync(new CountedEvents { TakesPoison = true });
        var poison = await AppendAsync("poisoned", data: """{"amount": "poison"}""");
        var last = await AppendAsync(10);
        await ReachedAsync(last);
        await CloseAsync();
        using var parked = new ParkedGauge(_services);

        var (_, operations) = await OpenAsync(new CountedEvents(2, new CountedEvents { TakesPoison = true }));
        var partition = Partition.Of(StreamSlot.Of("poisoned"), Partitions).Number;
        var status = await Eventually.UntilAsync(
            "the partition has parked",
            async () =>
            {
                await AppendAsync(1);
                return await StatusAsync();
            },
            s => s.State == "parked",
            Patience);
        Assert.Equal(Partitions + 1, status.Partitions.Count);
        Assert.Equal((partition, "parked", poison.Value), (status.Partitions[^1].N, status.Partitions[^1].State,
            status.Partitions[^1].Parked!.Position));
        await Eventually.UntilAsync(
            "the gauge tells", () => parked.Read().Where(p => p.Value > 0).SequenceEqual([(partition, 1L)]), Patience);
        Assert.Equal(OperatorOutcome.Done, await operations.SkipAsync("counted", partition, poison, Act, Cancellation));
        await Eventually.UntilAsync("the new tables serve", StatusAsync, s => s is { Generation: 2, State: "running" }, Patience);
    }

    [Fact]
    public async Task What_comes_soon_after_a_commit_waits_for_more_until_a_batch_is_full_or_somebody_waits_for_it()
    {
        // It stands still, unless it is moved.
        var time = new FakeTimeProvider();
        var (projection, options) = (new CountedEvents(), new ProjectionOptions { Partitions = Partitions, BatchEvents = 5 });
        var runtime = Runtime(projection, options, time);
        await runtime.EnsureAsync(Cancellation);
        Open(runtime);
        var partition = _open[Partition.Of(StreamSlot.Of("account-1"), Partitions).Number];
        var delivery = new JournalDelivery(App, Partitions) { Receivers = { partition } };
        await Eventually.UntilAsync("it runs", () => partition.Serving?.State == PartitionState.Running, Patience);

        await WrittenAsync("what comes after a silence", await DeliverAsync(1));
        Assert.Equal(1, projection.Writes);
        var gathered = await DeliverAsync(3);
        Assert.Equal((1, gathered.Value - 3), (projection.Writes, partition.Serving!.Position.Value));
        time.Advance(options.GatherFor);
        await WrittenAsync("what was gathered", gathered);
        Assert.Equal(2, projection.Writes);

        await WrittenAsync("a full batch", await DeliverAsync(5));
        var wanted = await DeliverAsync(1);
        var reached = partition.ReachedAsync(wanted, Patience);
        await WrittenAsync("what somebody waits for", wanted);
        Assert.Equal(wanted, await reached);
        Assert.Equal((10, 4), (await CountedAsync(), projection.Writes));

        // Each in an interval of its own, and with a commit between two: time enough to write it.
        async Task<Position> DeliverAsync(int events)
        {
            Position last = default;
            for (var n = 0; n < events; n++)
            {
                last = await AppendAsync("account-1");
                await delivery.DeliverAsync();
            }

            return last;
        }

        Task WrittenAsync(string what, Position last) =>
            Eventually.UntilAsync($"{what} is written", () => partition.Serving?.Position == last, Patience);
    }

    [Fact]
    public async Task Lag_is_the_age_of_the_oldest_event_that_is_not_handled_also_while_the_partition_advances()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        using var pages = new SemaphoreSlim(0);
        var runtime = Runtime(new Paged(pages), new() { Partitions = Partitions, PageEvents = 10 }, time);
        await runtime.EnsureAsync(Cancellation);
        Open(runtime);
        var number = Partition.Of(StreamSlot.Of("account-1"), Partitions).Number;
        await Eventually.UntilAsync("it runs", () => _open[number].Serving?.State == PartitionState.Running, Patience);

        for (var step = 1; step <= 5; step++)
        {
            await KnowAsync(100);
            pages.Release();
            await HandledAsync(10 * step);
            time.Advance(TimeSpan.FromMinutes(1));
            Assert.Equal(await AgeAsync(10 * step), Lag());
        }

        Assert.InRange(Lag(), TimeSpan.FromMinutes(4), TimeSpan.FromMinutes(5));

        // Whoever takes the partition over knows it, too.
        var closed = _open[number].DisposeAsync();
        pages.Release();
        await closed;
        _open[number] = runtime.Open("counted", number, WakeAsync);
        await Eventually.UntilAsync("it runs again", () => _open[number].Serving?.State == PartitionState.Running, Patience);
        Assert.Equal(await AgeAsync(_open[number].Serving!.Position.Value + 1), Lag());

        // What comes after a silence counts from when it is known.
        pages.Release(100);
        await HandledAsync(500);
        Assert.Equal(TimeSpan.Zero, Lag());
        while (pages.Wait(0, Cancellation))
            continue;
        time.Advance(TimeSpan.FromHours(1));
        await KnowAsync(1);
        time.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal(TimeSpan.FromSeconds(3), Lag());
        pages.Release(100);

        // The end of an interval and none of its events, which are read from the table.
        async Task KnowAsync(int events)
        {
            Position last = default;
            for (var n = 0; n < events; n++)
                last = await AppendAsync("account-1");
            _open[number].Offer(new(new(number, 2 * Partitions), default, last, []));
        }

        Task HandledAsync(long position) => Eventually.UntilAsync(
            $"everything up to {position} is handled", () => _open[number].Serving?.Position.Value == position, Patience);

        TimeSpan Lag() => _open[number].Serving!.Lag;

        async Task<TimeSpan> AgeAsync(long position) => time.GetUtcNow()
            - await ScalarAsync<DateTime>($"SELECT recorded_at FROM journal.events WHERE position = {position}");
    }

    [Fact]
    public async Task An_event_that_cannot_be_applied_parks_its_partition_until_an_operator_skips_it()
    {
        var projection = new CountedEvents();
        var (runtime, operations) = await OpenAsync(projection);
        using var parked = new ParkedGauge(_services);
        var before = await AppendAsync(40);
        var poison = await AppendAsync("poisoned", data: """{"amount": "poison"}""");
        await AppendAsync("poisoned");
        var last = await AppendAsync(40);
        var partition = Partition.Of(StreamSlot.Of("poisoned"), Partitions).Number;

        // Those that follow stand still; the others go on.
        await Eventually.UntilAsync(
            "the partition has parked",
            async () =>
            {
                await Task.WhenAll(_open.Select(p => p.ReachedAsync(last, TimeSpan.FromSeconds(1))));
                return await StatusAsync();
            },
            status => status.State == "parked",
            Patience);
        await Task.WhenAll(_open.Where(p => p.Partition.Number != partition).Select(p => ReachedAsync(p, last)));
        Assert.Null(await _open[partition].ReachedAsync(last, Patience));
        var at = (await StatusAsync()).Partitions[partition];
        Assert.Equal("parked", at.State);
        Assert.Equal(poison.Value, at.Parked!.Position);
        Assert.Contains("this cannot be counted", at.Parked.Reason, StringComparison.Ordinal);
        Assert.InRange(at.Position, before.Value - 40, poison.Value - 1);
        Assert.Equal([(partition, 1L)], parked.Read().Where(p => p.Value > 0));

        // A restart keeps the state, and a retry that is of no use comes back to it.
        await CloseAsync();
        Open(runtime);
        await Eventually.UntilAsync("it has parked again", () => _open[partition].Serving?.State == PartitionState.Parked, Patience);
        Assert.Equal(OperatorOutcome.Done, await operations.RetryAsync("counted", partition, Act, Cancellation));
        await Eventually.UntilAsync(
            "it has parked a third time",
            async () => (await ScalarAsync<long>("SELECT count(*) FROM journal.events WHERE event_type = 'ProjectionPartitionRetried'"),
                (await StatusAsync()).Partitions[partition].Parked?.Position),
            seen => seen == (1, poison.Value),
            Patience);

        var other = (partition + 1) % Partitions;
        foreach (var act in (Task<OperatorOutcome>[])
        [
            operations.SkipAsync("counted", partition, new(poison.Value + 1), Act, Cancellation),
            operations.SkipAsync("counted", other, poison, Act, Cancellation),
            operations.RetryAsync("counted", other, Act, Cancellation),
        ])
            Assert.Equal(OperatorOutcome.NothingToActOn, await act);
        Assert.Equal(OperatorOutcome.Done, await operations.SkipAsync("counted", partition, poison, Act, Cancellation));
        await ReachedAsync(last);
        Assert.Equal(81, await CountedAsync());
        Assert.Equal("running", (await StatusAsync()).State);
        Assert.DoesNotContain(parked.Read(), p => p.Value > 0);
        Assert.Equal(
            $$"""{"by": "an operator", "reason": "a test", "position": {{poison}}, "partition": {{partition}}}""",
            await ActAsync(1, "ProjectionPartitionRetried"));
        Assert.Equal(
            $$"""{"by": "an operator", "reason": "a test", "position": {{poison}}, "partition": {{partition}}}""",
            await ActAsync(2, "ProjectionEventSkipped"));
    }

    [Fact]
    public async Task A_retry_with_mended_code_goes_on_where_the_partition_has_parked()
    {
        var projection = new CountedEvents();
        var (_, operations) = await OpenAsync(projection);
        await AppendAsync("poisoned", data: """{"amount": "poison"}""");
        var last = await AppendAsync(10);
        var partition = Partition.Of(StreamSlot.Of("poisoned"), Partitions).Number;
        await Eventually.UntilAsync(
            "the partition has parked",
            async () =>
            {
                await Task.WhenAll(_open.Select(p => p.ReachedAsync(last, TimeSpan.FromSeconds(1))));
                return await StatusAsync();
            },
            status => status.State == "parked",
            Patience);
        projection.TakesPoison = true;
        Assert.Equal(OperatorOutcome.Done, await operations.RetryAsync("counted", partition, Act, Cancellation));
        await ReachedAsync(last);
        Assert.Equal(11, await CountedAsync());
    }

    [Fact]
    public async Task An_act_that_is_asked_for_again_is_recorded_and_done_once()
    {
        var (_, operations) = await OpenAsync(new CountedEvents());
        await ReachedAsync(await AppendAsync(10));
        var (pause, rebuild) = (Act with { Id = Guid.NewGuid() }, Act with { Id = Guid.NewGuid() });
        Assert.Equal(OperatorOutcome.Done, await operations.PauseAsync("counted", pause, Cancellation));
        // Whoever recorded it may have died before it had its effect.
        await ExecuteAsync("UPDATE readmodel.projections SET paused = false");
        Assert.Equal(OperatorOutcome.Repeated, await operations.PauseAsync("counted", pause, Cancellation));
        Assert.Equal("paused", (await StatusAsync()).State);
        // Of another act, or with other words: nothing happens.
        Assert.Equal(OperatorOutcome.IdReused, await operations.ResumeAsync("counted", pause, Cancellation));
        Assert.Equal(OperatorOutcome.IdReused, await operations.PauseAsync("counted", pause with { Reason = "another" }, Cancellation));
        Assert.Equal("paused", (await StatusAsync()).State);

        // Once somebody has acted since, it is history.
        Assert.Equal(OperatorOutcome.Done, await operations.ResumeAsync("counted", Act, Cancellation));
        Assert.Equal(OperatorOutcome.Repeated, await operations.PauseAsync("counted", pause, Cancellation));
        Assert.Equal("running", (await StatusAsync()).State);

        Assert.Equal(OperatorOutcome.Done, await operations.RebuildAsync("counted", rebuild, Cancellation));
        Assert.Equal(OperatorOutcome.Repeated, await operations.RebuildAsync("counted", rebuild, Cancellation));
        await Eventually.UntilAsync("the new tables serve", StatusAsync, s => s is { Generation: 2, State: "running" }, Patience);
        Assert.Equal(OperatorOutcome.Repeated, await operations.RebuildAsync("counted", rebuild, Cancellation));
        Assert.Equal(2, await ScalarAsync<int>("SELECT last_generation FROM readmodel.projections"));
        Assert.Equal(3, await ScalarAsync<long>("SELECT count(*) FROM journal.events WHERE stream_id = 'projection-counted'"));
    }

    [Theory]
    [InlineData("UPDATE readmodel.checkpoints SET position = position + 1000")]
    [InlineData("UPDATE readmodel.checkpoints SET event_id = gen_random_uuid()")]
    public async Task A_checkpoint_that_the_journal_does_not_have_parks_until_a_rebuild(string restore)
    {
        var (runtime, operations) = await OpenAsync(new CountedEvents());
        var last = await AppendAsync(20);
        await ReachedAsync(last);
        await CloseAsync();
        await ExecuteAsync(restore);
        await ExecuteAsync("UPDATE readmodel.counted_1 SET count = 1000");

        Open(runtime);
        await Eventually.UntilAsync(
            "all partitions have parked",
            StatusAsync,
            status => status.Partitions.All(p => p.Parked?.Reason == "the journal was restored"),
            Patience);
        Assert.Null(await _open[0].ReachedAsync(new(5_000), Patience));
        await operations.RebuildAsync("counted", Act, Cancellation);
        await Eventually.UntilAsync("the new tables serve", StatusAsync, s => s is { Generation: 2, State: "running" }, Patience);
        await ReachedAsync(last);
        Assert.Equal(20, await CountedAsync());
    }

    [Fact]
    public async Task A_journal_that_is_restored_under_a_running_partition_is_noticed()
    {
        await OpenAsync(new CountedEvents());
        var last = await AppendAsync(10);
        await ReachedAsync(last);
        // Its head lies lower than before, as the stream would say.
        await Owner.CreateCommand(
            "SET journal.procedure = 'journal.append'; UPDATE journal.head SET position = 3; RESET journal.procedure").ExecuteNonQueryAsync(
            Cancellation);
        foreach (var partition in _open)
            partition.Offer(new(partition.Partition, new(3), new(3), []));
        await Eventually.UntilAsync(
            "all partitions have parked",
            StatusAsync,
            status => status.Partitions.All(p => p.Parked?.Reason == "the journal was restored"),
            Patience);
    }

    [Fact]
    public async Task What_was_delivered_before_a_restore_is_not_applied_after_it()
    {
        await OpenAsync(new CountedEvents(), new() { Partitions = Partitions, PageEvents = 1 });
        var partition = _open[Partition.Of(StreamSlot.Of("account-1"), Partitions).Number];
        var at = await AppendAsync("account-1");
        await ReachedAsync(partition, at);
        // It waits for what lies before it; then the journal goes another way.
        partition.Offer(new(partition.Partition, new(at.Value + 1), new(at.Value + 2), []));
        partition.Refresh();
        await Eventually.UntilAsync("it runs again", () => partition.Serving?.State == PartitionState.Running, Patience);
        await AppendAsync("account-1");
        await ReachedAsync(partition, await AppendAsync("account-1"));
        Assert.Equal(3, await CountedAsync());
    }

    [Fact]
    public async Task A_rebuild_after_a_restore_reads_the_journal_anew()
    {
        var (_, operations) = await OpenAsync(new CountedEvents(), new() { Partitions = Partitions, PageEvents = 5 });
        await ReachedAsync(await AppendAsync(20));
        Assert.Equal(20, await CountedAsync());
        await using (var other = NpgsqlDataSource.Create(
            new NpgsqlConnectionStringBuilder(Postgres.Server.SuperuserConnectionString) { Database = Database.Name }.ConnectionString))
        await using (var history = other.CreateCommand(
            """
            SET session_replication_role = replica;
            UPDATE journal.events SET event_type = 'SomethingElse', event_id = gen_random_uuid() WHERE position > 10;
            """))
            await history.ExecuteNonQueryAsync(Cancellation);

        await WakeAsync();
        await Eventually.UntilAsync(
            "all partitions have parked",
            StatusAsync,
            status => status.Partitions.All(p => p.Parked?.Reason == "the journal was restored"),
            Patience);
        await operations.RebuildAsync("counted", Act, Cancellation);
        await Eventually.UntilAsync("the new tables serve", StatusAsync, s => s is { Generation: 2, State: "running" }, Patience);
        Assert.Equal(10, await CountedAsync());
    }

    [Fact]
    public async Task A_checkpoint_never_comes_to_lie_above_the_head()
    {
        await OpenAsync(new CountedEvents());
        await CloseAsync();
        await AppendAsync(5);
        var head = await ScalarAsync<long>("SELECT position FROM journal.head");
        var beyond = await Assert.ThrowsAsync<PostgresException>(
            () => ExecuteAsync($"SELECT readmodel.advance('counted', 1, 0, 0, {head + 1})"));
        Assert.Equal("RC001", beyond.SqlState);
        await ExecuteAsync($"SELECT readmodel.advance('counted', 1, 0, 0, {head})");
    }

    [Fact]
    public async Task A_paused_projection_stands_still_even_where_nobody_has_been_told()
    {
        var (runtime, operations) = await OpenAsync(new CountedEvents());
        await ReachedAsync(await AppendAsync(10));
        var deaf = new ProjectionOperations(runtime, Open(), TimeProvider.System, _ => Task.CompletedTask);
        await deaf.PauseAsync("counted", Act, Cancellation);
        var last = await AppendAsync(20);
        await Task.WhenAll(_open.Select(p => p.ReachedAsync(last, TimeSpan.FromSeconds(1))));
        Assert.Equal(10, await CountedAsync());
        Assert.Equal("paused", (await StatusAsync()).State);
        await Eventually.UntilAsync("all have noticed", () => _open.All(p => p.Serving?.State == PartitionState.Paused), Patience);
        Assert.Null(await _open[0].ReachedAsync(last, Patience));

        await operations.ResumeAsync("counted", Act, Cancellation);
        await ReachedAsync(last);
        Assert.Equal(30, await CountedAsync());
        Assert.Equal("""{"by": "an operator", "reason": "a test"}""", await ActAsync(1, "ProjectionPaused"));
        Assert.Equal("""{"by": "an operator", "reason": "a test"}""", await ActAsync(2, "ProjectionResumed"));
    }

    [Fact]
    public async Task Code_of_a_new_fold_version_fills_new_tables_by_itself_while_the_old_ones_stay_live()
    {
        await OpenAsync(new CountedEvents());
        await ReachedAsync(await AppendAsync(30));
        await CloseAsync();

        var release = new TaskCompletionSource();
        var next = new Held(release.Task, predecessor: new CountedEvents());
        var runtime = Runtime(next);
        Assert.Equal([("counted", "fold version 1 -> 2")], await runtime.EnsureAsync(Cancellation));
        Assert.Empty(await runtime.EnsureAsync(Cancellation));
        Open(runtime);
        var last = await AppendAsync(10);
        await ReachedAsync(last);
        Assert.Equal(40, await CountedAsync());
        var status = await StatusAsync();
        Assert.Equal(("rebuilding", 1, 1), (status.State, status.Generation, status.FoldVersion));
        Assert.InRange(status.Progress!.Value, 0, 0.99m);

        release.SetResult();
        await Eventually.UntilAsync(
            "the new tables serve", StatusAsync, s => s is { Generation: 2, FoldVersion: 2, Progress: null }, Patience);
        await ReachedAsync(last);
        Assert.Equal(40, await CountedAsync());
        Assert.Equal(2, await ScalarAsync<int>("SELECT min(weight) FROM readmodel.counted"));

        // Older code that comes back leaves it alone.
        Assert.Empty(await Runtime(new CountedEvents()).EnsureAsync(Cancellation));
        Assert.Equal(2, (await StatusAsync()).FoldVersion);
    }

    [Fact]
    public async Task Hosts_that_start_at_once_make_one_set_of_tables()
    {
        var runtimes = Enumerable.Range(0, 6).Select(_ => Runtime(new CountedEvents())).ToList();
        await Task.WhenAll(runtimes.Select(r => r.EnsureAsync(Cancellation)));
        Assert.Equal(1, await ScalarAsync<long>("SELECT count(*) FROM readmodel.generations"));
        var newer = Enumerable.Range(0, 6).Select(_ => Runtime(new CountedEvents(2))).ToList();
        var began = await Task.WhenAll(newer.Select(r => r.EnsureAsync(Cancellation)));
        Assert.Single(began, b => b.Count == 1);
    }

    [Fact]
    public async Task The_application_may_make_tables_in_readmodel_only()
    {
        foreach (var schema in (string[])["journal", "work", "orleans", "public"])
        {
            var refused = await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync($"CREATE TABLE {schema}.mine (n int)"));
            Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
        }

        await ExecuteAsync("CREATE TABLE readmodel.mine (n int)");
    }

    private ProjectionRuntime Runtime(Projection projection, ProjectionOptions? options = null, TimeProvider? time = null)
    {
        options ??= new() { Partitions = Partitions };
        options.Projections.Add(projection);
        options.MaxBackoff = TimeSpan.FromMilliseconds(50);
        var runtime = new ProjectionRuntime(
            new() { ConnectionString = Database.App }, options, time ?? TimeProvider.System, NullLogger<ProjectionRuntime>.Instance,
            _services.GetRequiredService<IMeterFactory>());
        _runtimes.Add(runtime);
        return runtime;
    }

    private async Task<(ProjectionRuntime Runtime, ProjectionOperations Operations)> OpenAsync(
        Projection projection, ProjectionOptions? options = null)
    {
        var runtime = Runtime(projection, options);
        await runtime.EnsureAsync(Cancellation);
        Open(runtime);
        return (runtime, new(runtime, Open(), TimeProvider.System, _ => WakeAsync()));
    }

    private void Open(ProjectionRuntime runtime) =>
        _open.AddRange(Enumerable.Range(0, Partitions).Select(n => runtime.Open("counted", n, WakeAsync)));

    private Task WakeAsync()
    {
        _open.ForEach(p => p.Refresh());
        return Task.CompletedTask;
    }

    private async Task CloseAsync()
    {
        foreach (var partition in _open)
            await partition.DisposeAsync();
        _open.Clear();
    }

    // As many deposits, spread over streams; returns the last position.
    private async Task<Position> AppendAsync(int count)
    {
        Position last = default;
        for (var n = 0; n < count; n++)
            last = await AppendAsync($"account-{n % 10}");
        return last;
    }

    private async Task<Position> AppendAsync(string stream, string type = "MoneyDeposited", string data = """{"amount": "1.00"}""")
    {
        var before = _streams.GetValueOrDefault(stream);
        var append = new Append(
            stream, before?.After ?? StreamState.Empty, [Make.Event(type: type, data: data)], before?.Epoch ?? new Epoch());
        _streams[stream] = append;
        _journal ??= Open();
        return Assert.IsType<AppendOutcome.Appended>(await _journal.AppendAsync(append)).LastPosition;
    }

    private PostgresJournal? _journal;

    private Task ReachedAsync(Position position) => Task.WhenAll(_open.Select(p => ReachedAsync(p, position)));

    private static async Task ReachedAsync(ProjectionPartition partition, Position position)
    {
        if (await partition.ReachedAsync(position, Patience) is null)
            Assert.Fail($"Waited {Patience} until {partition.Partition.Number} has reached {position}; seen: {partition.Serving}");
    }

    private async Task<ProjectionStatus> StatusAsync() => Assert.Single(await new ProjectionStatusReader(App).ReadAsync(Cancellation));

    private Task<long> CountedAsync() => ScalarAsync<long>("SELECT coalesce(sum(count), 0)::bigint FROM readmodel.counted");

    private Task<string> ActAsync(int version, string type) => ScalarAsync<string>(
        $"""
        SELECT data::text FROM journal.events
        WHERE stream_id = 'projection-counted' AND version = {version} AND event_type = '{type}'
        """);

    private async Task ExecuteAsync(string sql)
    {
        await using var command = App.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(Cancellation);
    }

    // The second fold version, which does not get to writing before it is let.
    private sealed class Held(Task release, Projection predecessor) : CountedEvents(2, predecessor)
    {
        public override void Write(IReadOnlyList<RecordedEvent> events, ProjectionBatch batch)
        {
            if (!release.IsCompleted)
                throw new TimeoutException("not yet");
            base.Write(events, batch);
        }
    }

    // Writes as many pages as it is let.
    private sealed class Paged(SemaphoreSlim pages) : CountedEvents
    {
        public override void Write(IReadOnlyList<RecordedEvent> events, ProjectionBatch batch)
        {
            if (!pages.Wait(Patience))
                throw new TimeoutException("not yet");
            base.Write(events, batch);
        }
    }

    private sealed class ParkedGauge : IDisposable
    {
        private readonly MeterListener _listener = new();
        private readonly Dictionary<int, long> _values = [];

        public ParkedGauge(ServiceProvider services)
        {
            var scope = services.GetRequiredService<IMeterFactory>();
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Name == "projection.parked" && instrument.Meter.Scope == scope)
                    listener.EnableMeasurementEvents(instrument);
            };
            _listener.SetMeasurementEventCallback<long>((_, value, tags, _) =>
                _values[tags.ToArray().Single(t => t.Key == "partition").Value is int n ? n : -1] = value);
            _listener.Start();
        }

        public IReadOnlyList<(int Partition, long Value)> Read()
        {
            _values.Clear();
            _listener.RecordObservableInstruments();
            return [.. _values.Select(v => (v.Key, v.Value))];
        }

        public void Dispose() => _listener.Dispose();
    }
}
