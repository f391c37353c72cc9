using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Orleans.EventSourcing.Postgres;

/// <summary>Saves snapshots off everybody's path, many per round trip. What finds no room, or no database, is dropped.</summary>
internal sealed class SnapshotWriter : IAsyncDisposable
{
    // Enough for a burst of crossings; a stream that loses its snapshot makes another one later.
    private const int Room = 1_000;
    private const int PerRoundTrip = 100;

    private readonly NpgsqlDataSource _database;
    private readonly JournalMetrics _metrics;
    private readonly ILogger _log;
    private readonly Channel<Snapshot> _waiting;
    private readonly Task _loop;

    public SnapshotWriter(NpgsqlDataSource database, JournalMetrics metrics, ILogger log)
    {
        (_database, _metrics, _log) = (database, metrics, log);
        _waiting = Channel.CreateBounded<Snapshot>(
            new BoundedChannelOptions(Room) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true },
            _ => metrics.SnapshotsDropped(1));
        _loop = RunAsync();
    }

    /// <summary>See <see cref="IJournal.Save"/>.</summary>
    public void Save(Snapshot snapshot) => _waiting.Writer.TryWrite(snapshot);

    /// <summary>Saves what waits and ends.</summary>
    public async ValueTask DisposeAsync()
    {
        _waiting.Writer.TryComplete();
        await _loop;
    }

    private async Task RunAsync()
    {
        // Away from whoever made the writer.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        var batch = new List<Snapshot>(PerRoundTrip);
        while (await _waiting.Reader.WaitToReadAsync())
        {
            while (batch.Count < PerRoundTrip && _waiting.Reader.TryRead(out var snapshot))
                batch.Add(snapshot);
            try
            {
                await SaveAsync(batch);
                _metrics.SnapshotsSaved(batch.Count);
            }
            catch (Exception e)
            {
                // What waits goes too: each further attempt may take as long to fail, and whoever closes the journal waits for all of them.
                var dropped = batch.Count;
                while (_waiting.Reader.TryRead(out _))
                    dropped++;
                Log.SnapshotsNotSaved(_log, dropped, e);
                _metrics.SnapshotsDropped(dropped);
            }

            batch.Clear();
        }
    }

    // A row that stands may be a damaged one, or of a history that a restore has ended: the newer one wins.
    private async Task SaveAsync(List<Snapshot> batch)
    {
        await using var command = _database.CreateCommand(
            """
            INSERT INTO journal.snapshots AS s (stream_id, version, event_id, fold_version, data, checksum)
            SELECT DISTINCT ON (u.stream_id, u.fold_version, u.version) u.*
            FROM unnest($1, $2, $3, $4, $5, $6) u (stream_id, version, event_id, fold_version, data, checksum)
            ON CONFLICT (stream_id, fold_version, version) DO UPDATE
            SET event_id = excluded.event_id, data = excluded.data, checksum = excluded.checksum, recorded_at = excluded.recorded_at
            """);
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. batch.Select(s => s.StreamId)] });
        command.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. batch.Select(s => s.State.Version)] });
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = [.. batch.Select(s => s.State.EventId)] });
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = [.. batch.Select(s => s.FoldVersion)] });
        command.Parameters.Add(new NpgsqlParameter<byte[][]> { TypedValue = [.. batch.Select(s => s.Data.ToArray())] });
        command.Parameters.Add(new NpgsqlParameter<byte[][]> { TypedValue = [.. batch.Select(SnapshotChecksum.Of)] });
        await command.ExecuteNonQueryAsync();
    }
}
