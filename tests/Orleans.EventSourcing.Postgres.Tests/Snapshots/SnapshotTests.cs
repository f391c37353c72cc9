using Bank.Testing;
using Orleans.EventSourcing.Postgres.Tests.Hosting;
using Orleans.EventSourcing.Postgres.Tests.LogConsistency;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Snapshots;

/// <summary>A silo with the library's own interval of snapshots.</summary>
public sealed class DefaultSilo(PrivatePostgres postgres) : OneSilo(postgres)
{
    protected override int SnapshotEvery => 100;
}

/// <summary>Snapshots are disposable: whatever happens to one, a ledger reads the same.</summary>
public sealed class SnapshotTests(DefaultSilo silo) : IClassFixture<DefaultSilo>
{
    private readonly string _key = Guid.NewGuid().ToString("n");

    private string Stream => $"json-{_key}";

    private IJsonLedger Ledger => silo.First.Grains.GetGrain<IJsonLedger>(_key);

    [Fact]
    public async Task One_append_that_crosses_version_100_makes_one_snapshot_and_the_next_life_begins_with_it()
    {
        await Ledger.Add([.. Enumerable.Repeat(1, 98)]);
        Assert.Equal(0, await SnapshotsAsync());

        await Ledger.Add([1, 1, 1, 1]);
        await SavedAsync(102);
        await Ledger.Add([1]);

        Assert.Equal(1, await SnapshotsAsync());
        Assert.Equal(1, await NextLifeReadsAsync(new(103, 103, 103)));
    }

    [Fact]
    public async Task A_long_stream_is_loaded_by_its_last_snapshot_and_at_most_a_hundred_events()
    {
        for (var i = 0; i < 20; i++)
            await Ledger.Add([.. Enumerable.Repeat(1, 499)]);
        await Ledger.Add([.. Enumerable.Repeat(1, 20)]);
        await SavedAsync(10_000);
        await Ledger.Add([.. Enumerable.Repeat(1, 99)]);

        Assert.Equal(99, await NextLifeReadsAsync(new(10_099, 10_099, 10_099)));
    }

    [Theory]
    [InlineData("deleted", "DELETE FROM journal.snapshots WHERE stream_id = '{0}'")]
    [InlineData("cut short", "UPDATE journal.snapshots SET data = substr(data, 1, length(data) - 9) WHERE stream_id = '{0}'")]
    [InlineData("emptied", "UPDATE journal.snapshots SET data = '' WHERE stream_id = '{0}'")]
    [InlineData("changed by one bit",
        "UPDATE journal.snapshots SET data = set_bit(data, 300, 1 - get_bit(data, 300)) WHERE stream_id = '{0}'")]
    [InlineData("given another balance", """
        UPDATE journal.snapshots SET data = convert_to(replace(convert_from(data, 'UTF8'), '"Sum":150', '"Sum":950'), 'UTF8')
        WHERE stream_id = '{0}' AND convert_from(data, 'UTF8') LIKE '%"Sum":150%'
        """)]
    [InlineData("given another checksum", "UPDATE journal.snapshots SET checksum = sha256('') WHERE stream_id = '{0}'")]
    [InlineData("moved to another version", "UPDATE journal.snapshots SET version = version - 1 WHERE stream_id = '{0}'")]
    [InlineData("moved to another version, with its event", """
        UPDATE journal.snapshots s SET version = e.version, event_id = e.event_id
        FROM journal.events e WHERE e.stream_id = s.stream_id AND e.version = 149 AND s.stream_id = '{0}'
        """)]
    [InlineData("moved beyond the end", "UPDATE journal.snapshots SET version = version + 10 WHERE stream_id = '{0}'")]
    [InlineData("given another history", "UPDATE journal.snapshots SET event_id = gen_random_uuid() WHERE stream_id = '{0}'")]
    [InlineData("given another fold", "UPDATE journal.snapshots SET fold_version = 7 WHERE stream_id = '{0}'")]
    public async Task A_snapshot_that_is_damaged_means_replay_and_the_same_state(string how, string damage)
    {
        await Ledger.Add([.. Enumerable.Repeat(1, 150)]);
        await SavedAsync(150);
        Assert.Equal(1, await silo.ExecuteAsync(string.Format(null, damage, Stream)));

        Assert.True(await NextLifeReadsAsync(new(150, 150, 150)) == 150, $"a snapshot that was {how} was trusted");
        Assert.True(await Ledger.AddIf([1]));
        Assert.Equal(new(151, 151, 151), await Ledger.Refresh());
    }

    [Fact]
    public async Task A_damaged_snapshot_falls_back_on_an_older_sound_one()
    {
        await Ledger.Add([.. Enumerable.Repeat(1, 100)]);
        await SavedAsync(100);
        await Ledger.Add([.. Enumerable.Repeat(1, 100)]);
        await SavedAsync(200);
        await silo.ExecuteAsync($"UPDATE journal.snapshots SET data = 'x' WHERE stream_id = '{Stream}' AND version = 200");

        Assert.Equal(100, await NextLifeReadsAsync(new(200, 200, 200)));
    }

    [Fact]
    public async Task Code_that_folds_differently_does_not_begin_with_the_snapshots_of_the_old_code()
    {
        await Ledger.Add([.. Enumerable.Repeat(1, 120)]);
        await SavedAsync(120);
        await silo.First.Grains.GetGrain<IJsonLedger>(_key).Leave();
        var refolded = silo.First.Grains.GetGrain<IRefoldedLedger>(_key);

        Assert.Equal(new(12_000, 120, 120), await refolded.Look());
        Assert.Equal(new(22_000, 220, 220), await refolded.Add([.. Enumerable.Repeat(1, 100)]));
        await SavedAsync(220);

        await refolded.Leave();
        await silo.GoneAsync(refolded);
        Assert.Equal(new(22_000, 220, 220), await refolded.Look());
        await silo.GoneAsync(Ledger);
        Assert.Equal(new(220, 220, 220), await Ledger.Look());
    }

    private async Task<int> NextLifeReadsAsync(Sheet expected)
    {
        await Ledger.Leave();
        await silo.GoneAsync(Ledger);
        var before = silo.Journal.EventsRead(Stream);
        Assert.Equal(expected, await Ledger.Look());
        return silo.Journal.EventsRead(Stream) - before;
    }

    private Task<long> SnapshotsAsync() =>
        silo.ScalarAsync<long>($"SELECT count(*) FROM journal.snapshots WHERE stream_id = '{Stream}'");

    private async Task SavedAsync(int version) => await Eventually.UntilAsync(
        $"there is a snapshot of version {version}",
        () => silo.ScalarAsync<long>($"SELECT count(*) FROM journal.snapshots WHERE stream_id = '{Stream}' AND version = {version}"),
        count => count == 1,
        TimeSpan.FromSeconds(60));
}
