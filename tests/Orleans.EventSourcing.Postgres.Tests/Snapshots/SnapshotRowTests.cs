using System.Text;
using Bank.Testing;
using Npgsql;
using Orleans.EventSourcing.Postgres.Tests.Journal;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Snapshots;

public sealed class SnapshotRowTests(PrivatePostgres postgres) : JournalTest(postgres)
{
    private const int Fold = 7;

    [Fact]
    public async Task The_newest_sound_snapshot_is_loaded_with_its_event_and_what_came_after_it()
    {
        var (journal, states) = await StreamAsync(6);
        await SaveAsync(journal, states[1], states[3]);

        var loaded = await journal.LoadAsync("account-1", Fold, 100, Cancellation);

        Assert.Equal((states[3], Fold, "{\"at\":4}"), (loaded.Snapshot!.State, loaded.Snapshot.FoldVersion, TextOf(loaded.Snapshot)));
        Assert.Equal(states[3], new(loaded.SnapshotEvent!.Version, loaded.SnapshotEvent.EventId));
        Assert.Equal([5L, 6], loaded.Events.Select(e => e.Version));
        Assert.Equal([5L], (await journal.LoadAsync("account-1", Fold, 1, Cancellation)).Events.Select(e => e.Version));
    }

    [Theory]
    [InlineData("UPDATE journal.snapshots SET data = '{\"at\":9}' WHERE version = 4", 2)]
    [InlineData("UPDATE journal.snapshots SET data = set_byte(data, 1, get_byte(data, 1) # 1) WHERE version = 4", 2)]
    [InlineData("UPDATE journal.snapshots SET data = substr(data, 1, 3) WHERE version = 4", 2)]
    [InlineData("UPDATE journal.snapshots SET data = '' WHERE version = 4", 2)]
    [InlineData("UPDATE journal.snapshots SET checksum = sha256(data) WHERE version = 4", 2)]
    [InlineData("UPDATE journal.snapshots SET checksum = '' WHERE version = 4", 2)]
    [InlineData("UPDATE journal.snapshots SET event_id = gen_random_uuid() WHERE version = 4", 2)]
    [InlineData("UPDATE journal.snapshots SET version = 5 WHERE version = 4", 2)]
    [InlineData("UPDATE journal.snapshots SET version = 9 WHERE version = 4", 2)]
    [InlineData("UPDATE journal.snapshots s SET (version, event_id) = (SELECT 5, event_id FROM journal.events WHERE version = 5) "
        + "WHERE version = 4", 2)]
    [InlineData("UPDATE journal.snapshots SET fold_version = 8 WHERE version = 4", 2)]
    [InlineData("UPDATE journal.snapshots SET stream_id = 'account-2' WHERE version = 4", 2)]
    [InlineData("DELETE FROM journal.snapshots WHERE version = 4", 2)]
    [InlineData("UPDATE journal.snapshots SET checksum = ''", 0)]
    [InlineData("DELETE FROM journal.snapshots", 0)]
    public async Task One_that_is_not_sound_is_left_aside_for_an_older_one_or_for_a_replay(string damage, long loadedFrom)
    {
        var (journal, states) = await StreamAsync(6);
        await SaveAsync(journal, states[1], states[3]);
        // bank_app may: a snapshot is a cache of its own, and trusted by nobody.
        await using (var command = App.CreateCommand(damage))
            Assert.True(await command.ExecuteNonQueryAsync(Cancellation) > 0);

        var loaded = await journal.LoadAsync("account-1", Fold, 100, Cancellation);

        Assert.Equal(loadedFrom, loaded.Snapshot?.State.Version ?? 0);
        Assert.Equal(loadedFrom == 0 ? null : "{\"at\":2}", loaded.Snapshot is { } snapshot ? TextOf(snapshot) : null);
        Assert.Equal([.. Enumerable.Range((int)loadedFrom + 1, 6 - (int)loadedFrom)], loaded.Events.Select(e => (int)e.Version));
    }

    [Fact]
    public async Task However_many_are_damaged_the_stream_is_loaded()
    {
        var (journal, states) = await StreamAsync(10);
        await SaveAsync(journal, [.. states]);
        await using (var command = App.CreateCommand("UPDATE journal.snapshots SET data = '{}' WHERE version > 5"))
            await command.ExecuteNonQueryAsync(Cancellation);

        var loaded = await journal.LoadAsync("account-1", Fold, 100, Cancellation);

        // Not each copy of what is broken is tried: after three the stream is replayed.
        Assert.Null(loaded.Snapshot);
        Assert.Equal(10, loaded.Events.Count);
        Assert.Equal(3, Logged.Of("SnapshotDamaged").Count());
    }

    [Fact]
    public async Task A_snapshot_of_a_history_that_a_restore_has_ended_is_not_believed_though_its_checksum_holds()
    {
        var (journal, states) = await StreamAsync(4);
        await SaveAsync(journal, states[1], states[3]);
        // The journal was restored to version 3 and has grown again.
        await TamperAsync("DELETE FROM journal.events WHERE version = 4; UPDATE journal.head SET position = 3");
        await journal.AppendAsync(new("account-1", states[2], [Make.Event()], new()));

        var loaded = await journal.LoadAsync("account-1", Fold, 100, Cancellation);

        Assert.Equal(states[1], loaded.Snapshot!.State);
        Assert.Equal([3L, 4], loaded.Events.Select(e => e.Version));
    }

    [Fact]
    public async Task A_snapshot_that_is_made_again_replaces_the_damaged_one_and_older_ones_are_kept()
    {
        var (journal, states) = await StreamAsync(4);
        await SaveAsync(journal, states[1], states[3]);
        await using (var command = App.CreateCommand("UPDATE journal.snapshots SET data = '{}' WHERE version = 4"))
            await command.ExecuteNonQueryAsync(Cancellation);
        Assert.Equal(states[1], (await journal.LoadAsync("account-1", Fold, 100, Cancellation)).Snapshot!.State);

        // Twice at once: one statement must not meet one row twice.
        journal.Save(SnapshotOf(states[3]));
        journal.Save(SnapshotOf(states[3]));
        await Eventually.UntilAsync(
            "the snapshot is sound again",
            async () => (await journal.LoadAsync("account-1", Fold, 100, Cancellation)).Snapshot?.State.Version,
            version => version == 4,
            TimeSpan.FromSeconds(60));
        Assert.Equal(2, await ScalarAsync<long>("SELECT count(*) FROM journal.snapshots"));
    }

    [Fact]
    public async Task While_they_cannot_be_saved_snapshots_are_dropped_and_the_next_ones_are_saved()
    {
        var (journal, states) = await StreamAsync(2);
        await AsSuperuserAsync("REVOKE INSERT ON journal.snapshots FROM bank_app");
        journal.Save(SnapshotOf(states[0]));
        await Eventually.UntilAsync("it was dropped", () => Logged.Of("SnapshotsNotSaved").Any(), TimeSpan.FromSeconds(60));
        await AsSuperuserAsync("GRANT INSERT ON journal.snapshots TO bank_app");

        await SaveAsync(journal, states[1]);
        Assert.Equal(2, await ScalarAsync<long>("SELECT max(version) FROM journal.snapshots"));
    }

    [Fact]
    public async Task Closing_saves_what_waits()
    {
        var (journal, states) = await StreamAsync(300);
        foreach (var state in states)
            journal.Save(SnapshotOf(state));
        await journal.DisposeAsync();
        Assert.Equal(300, await ScalarAsync<long>("SELECT count(*) FROM journal.snapshots"));
    }

    private static Snapshot SnapshotOf(StreamState state) =>
        new("account-1", state, Fold, Encoding.UTF8.GetBytes($$"""{"at":{{state.Version}}}"""));

    private static string TextOf(Snapshot snapshot) => Encoding.UTF8.GetString(snapshot.Data.Span);

    private async Task<(PostgresJournal Journal, List<StreamState> States)> StreamAsync(int versions)
    {
        var journal = Open();
        var append = Make.First("account-1");
        List<StreamState> states = [];
        List<Task<AppendOutcome>> outcomes = [];
        for (var i = 0; i < versions; i++, append = append.Next())
        {
            states.Add(append.After);
            outcomes.Add(journal.AppendAsync(append).AsTask());
        }

        Assert.All(await Task.WhenAll(outcomes), outcome => Assert.IsType<AppendOutcome.Appended>(outcome));
        return (journal, states);
    }

    private async Task SaveAsync(PostgresJournal journal, params StreamState[] states)
    {
        foreach (var state in states)
            journal.Save(SnapshotOf(state));
        await Eventually.UntilAsync(
            "the last snapshot is saved",
            () => ScalarAsync<bool>($"SELECT EXISTS (SELECT FROM journal.snapshots WHERE version = {states[^1].Version})"),
            saved => saved,
            TimeSpan.FromSeconds(60));
    }
}
