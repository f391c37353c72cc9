using Bank.Testing;
using Npgsql;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Journal;

/// <summary>On a server of its own: a standby that is waited for is a setting of the whole server.</summary>
[Collection(UnshakenServer.Name)]
public sealed class HeadWatchTests(UnshakenPostgres postgres) : JournalTest(postgres)
{
    private const string AppendOne =
        """
        SELECT * FROM journal.append('test/frozen', 1, '{1}', '{1}', '{frozen-1}', '{1}', '{NULL}', ARRAY[gen_random_uuid()], '{Opened}',
            '{1}', '{"{}"}', '{"{}"}', '{}', '{}')
        """;

    public override async ValueTask DisposeAsync()
    {
        await WaitForStandbyAsync(false);
        await base.DisposeAsync();
    }

    [Fact]
    public async Task A_client_that_froze_between_append_and_commit_is_terminated()
    {
        await using var frozen = await Connect(Database.App + ";Pooling=false").OpenConnectionAsync(Cancellation);
        await using var append = new NpgsqlCommand("BEGIN; " + AppendOne, frozen);
        await append.ExecuteNonQueryAsync(Cancellation);

        await AppendsPastTheFrozenOneAsync();
    }

    [Fact]
    public async Task A_client_that_froze_before_it_has_read_the_reply_is_terminated_whoever_waits_in_front()
    {
        // Nothing is read on the way back any more, so the server is stuck in the middle of sending.
        await using var proxy = new TcpProxy(Database.App);
        proxy.OnRequest = request =>
        {
            proxy.Frozen = request.Start.Span.IndexOf("repeat"u8) >= 0;
            return Fault.None;
        };
        await using var source = NpgsqlDataSource.Create(proxy.Through(Database.App) + ";Pooling=false;Command Timeout=0");
        await using var frozen = await source.OpenConnectionAsync(Cancellation);
        await using var append = new NpgsqlCommand(
            "BEGIN; SELECT repeat('x', 1000000) FROM generate_series(1, 100) n, (" + AppendOne + ") appended", frozen);
        var reply = append.ExecuteNonQueryAsync(Cancellation);
        await Eventually.UntilAsync(
            "the server is stuck in sending its reply",
            () => ScalarAsync<long>(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'ClientWrite'"),
            stuck => stuck == 1,
            TimeSpan.FromSeconds(60));

        // Two wait: what blocks the second is the first, and only the end of the chain has frozen.
        await Task.WhenAll(AppendsPastTheFrozenOneAsync(), AppendsPastTheFrozenOneAsync());
        proxy.Frozen = false;
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => reply);
    }

    [Fact]
    public async Task One_that_waits_for_a_standby_is_left_alone_and_nothing_is_acknowledged_before_the_standby_has_it()
    {
        var (waiting, behind) = (Impatient(callTimeout: 120), Impatient(callTimeout: 120));
        await Task.WhenAll(waiting.AskAsync(default(Question) with { StreamId = "account-1" }).AsTask(),
            behind.AskAsync(default(Question) with { StreamId = "account-1" }).AsTask());
        await WaitForStandbyAsync(true);

        var first = waiting.AppendAsync(Make.First("account-1")).AsTask();
        var backend = await StandbyWaiterAsync();
        var question = behind.AskAsync(new("account-1", null)).AsTask();
        await Eventually.UntilAsync(
            "those who wait behind it have looked three times",
            () => Task.FromResult(Logged.Of("HeadHeld").Count(text => text.Contains("waits for IPC", StringComparison.Ordinal))),
            looked => looked >= 3,
            TimeSpan.FromSeconds(60));
        Assert.Equal(backend, await StandbyWaiterAsync());
        Assert.False(first.IsCompleted || question.IsCompleted);
        Assert.Empty(Logged.Of("HeadFreed"));

        await WaitForStandbyAsync(false);
        Assert.IsType<AppendOutcome.Appended>(await first);
        Assert.Equal(1, Assert.IsType<Answer.Confirmed>(await question).Last.Version);
    }

    [Fact]
    public async Task A_commit_that_was_told_not_to_wait_for_its_standby_any_more_is_ambiguous_and_asked_for_again()
    {
        // A warning is how the server tells; a role that wants to hear of errors only must hear it too.
        await AsSuperuserAsync($"ALTER DATABASE {Database.Name} SET client_min_messages = error");
        var journal = Impatient(callTimeout: 120);
        await journal.AskAsync(new("account-1", null));
        await WaitForStandbyAsync(true);
        var append = journal.AppendAsync(Make.First("account-1")).AsTask();

        await AsSuperuserAsync($"SELECT pg_cancel_backend({await StandbyWaiterAsync()})");
        // The commit has succeeded on this server: the event can be read, and would be lost with the server.
        await Eventually.UntilAsync(
            "the next attempt waits for the standby",
            () => Task.FromResult(Logged.Of("CallLost").Count()), lost => lost == 1, TimeSpan.FromSeconds(60));
        await StandbyWaiterAsync();
        Assert.Equal(1, await CountEventsAsync());
        Assert.False(append.IsCompleted);

        await WaitForStandbyAsync(false);
        Assert.True(Assert.IsType<AppendOutcome.AlreadyAppended>(await append).Exact);
        Assert.Equal(1, await CountEventsAsync());
    }

    [Fact]
    public async Task An_attempt_that_was_dropped_while_it_waits_for_a_standby_goes_on_waiting()
    {
        var journal = Impatient(callTimeout: 1);
        await journal.AskAsync(new("account-1", null));
        await WaitForStandbyAsync(true);
        var append = journal.AppendAsync(Make.First("account-1")).AsTask();
        var backend = await StandbyWaiterAsync();
        await Eventually.UntilAsync(
            "two more calls were dropped",
            () => Task.FromResult(Logged.Of("CallLost").Count()), lost => lost >= 3, TimeSpan.FromSeconds(60));
        Assert.Equal(backend, await StandbyWaiterAsync());
        Assert.Equal(0, await CountEventsAsync());

        await WaitForStandbyAsync(false);
        Assert.True(Assert.IsType<AppendOutcome.AlreadyAppended>(await append).Exact);
        Assert.Equal(1, await CountEventsAsync());
        Assert.True(Assert.IsType<AppendOutcome.Appended>(await journal.AppendAsync(Make.First("account-2"))).LastPosition.Value == 2);
    }

    private PostgresJournal Impatient(int callTimeout) => Open(o => (o.HeadPatience, o.CallTimeout, o.WriteBudget) =
        (TimeSpan.FromMilliseconds(300), TimeSpan.FromSeconds(callTimeout), TimeSpan.FromSeconds(200)));

    private async Task AppendsPastTheFrozenOneAsync()
    {
        // A call may take as long as it likes: what frees the head is not that this writer tries again.
        var journal = Impatient(callTimeout: 120);
        Assert.IsType<AppendOutcome.Appended>(await journal.AppendAsync(Make.First($"account-{Guid.NewGuid()}")));
        Assert.NotEmpty(Logged.Of("HeadFreed"));
        Assert.Empty(Logged.Of("CallLost"));
        Assert.Equal(0, await ScalarAsync<long>("SELECT count(*) FROM journal.events WHERE stream_id = 'frozen-1'"));
    }

    private async Task WaitForStandbyAsync(bool wait)
    {
        await Postgres.AsSuperuserAsync($"ALTER SYSTEM SET synchronous_standby_names = '{(wait ? "nobody" : "")}'");
        await Postgres.AsSuperuserAsync("SELECT pg_reload_conf()");
        await Eventually.UntilAsync(
            "the setting is in force",
            () => ScalarAsync<string>("SHOW synchronous_standby_names"),
            names => names == (wait ? "nobody" : ""),
            TimeSpan.FromSeconds(60));
    }

    private Task<int> StandbyWaiterAsync() => Eventually.UntilAsync(
        "a backend waits for the standby",
        () => ScalarAsync<int>(
            "SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'SyncRep'"),
        pid => pid > 0,
        TimeSpan.FromSeconds(60));
}
