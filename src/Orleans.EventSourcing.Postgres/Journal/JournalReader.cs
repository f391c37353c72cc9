using Microsoft.Extensions.Logging;
using Npgsql;

namespace Orleans.EventSourcing.Postgres;

/// <summary>Reads the journal, a page at a time.</summary>
/// <param name="database">Pooled; its sessions must not scan tables nor compile queries, see <see cref="JournalDatabase"/>.</param>
/// <param name="log">Told of snapshots that are not sound.</param>
internal sealed class JournalReader(NpgsqlDataSource database, ILogger log) : IJournalReader
{
    // A damaged cache is no reason to try each of its copies: after this many the stream is replayed.
    private const int SnapshotsTried = 3;

    /// <summary>See <see cref="IJournal.LoadAsync"/>.</summary>
    public async Task<LoadedStream> LoadAsync(string streamId, int foldVersion, int pageSize, CancellationToken cancellation)
    {
        var below = long.MaxValue;
        for (var tried = 0; ; tried++)
        {
            var (found, events) = await LoadAsync(streamId, foldVersion, tried < SnapshotsTried ? below : 0, pageSize, cancellation)
                .ConfigureAwait(false);
            if (found is not { } snapshot)
                return new(null, null, events);
            if (SnapshotChecksum.Of(snapshot.Snapshot).AsSpan().SequenceEqual(snapshot.Checksum))
                return new(snapshot.Snapshot, events[0], events[1..]);
            Log.SnapshotDamaged(log, streamId, snapshot.Snapshot.State.Version);
            below = snapshot.Snapshot.State.Version;
        }
    }

    /// <summary>See <see cref="IJournalReader.ReadStreamAsync"/>.</summary>
    public Task<IReadOnlyList<RecordedEvent>> ReadStreamAsync(
        string streamId, long fromVersion, int limit, CancellationToken cancellation) =>
        ReadAsync(
            $"""
            SELECT {RecordedEventReader.Columns} FROM journal.events e
            WHERE e.stream_id = $1 AND e.version >= $2 ORDER BY e.version LIMIT $3
            """,
            [new NpgsqlParameter<string> { TypedValue = streamId }, new NpgsqlParameter<long> { TypedValue = fromVersion }, Limit(limit)],
            cancellation);

    /// <summary>See <see cref="IJournalReader.ReadStreamAfterAsync"/>.</summary>
    public Task<IReadOnlyList<RecordedEvent>> ReadStreamAfterAsync(
        string streamId, Position after, int limit, CancellationToken cancellation) =>
        ReadAsync(
            $"""
            SELECT {RecordedEventReader.Columns} FROM journal.events e
            WHERE e.stream_id = $1 AND e.position > $2 ORDER BY e.version LIMIT $3
            """,
            [new NpgsqlParameter<string> { TypedValue = streamId }, new NpgsqlParameter<long> { TypedValue = after.Value }, Limit(limit)],
            cancellation);

    /// <summary>See <see cref="IJournalReader.ReadAllAsync"/>.</summary>
    public Task<IReadOnlyList<RecordedEvent>> ReadAllAsync(Position from, int limit, CancellationToken cancellation) =>
        ReadAsync(
            $"SELECT {RecordedEventReader.Columns} FROM journal.events e WHERE e.position >= $1 ORDER BY e.position LIMIT $2",
            [new NpgsqlParameter<long> { TypedValue = from.Value }, Limit(limit)],
            cancellation);

    /// <summary>See <see cref="IJournalReader.ReadIntervalAsync"/>.</summary>
    public async Task<JournalInterval> ReadIntervalAsync(
        Partition partition, Position after, int limit, CancellationToken cancellation)
    {
        try
        {
            await using var command = database.CreateCommand();
            var page = await new PageQuery(command)
                .ReadAsync(new(partition.Contains), after, limit, cancellation).ConfigureAwait(false);
            return new(partition, page.From, page.To, [.. page.Events.Where(e => partition.Contains(e.Slot)).Select(e => e.Event)]);
        }
        catch (NpgsqlException e)
        {
            throw Unavailable(e);
        }
    }

    /// <summary>See <see cref="IJournalReader.ReadEventAsync"/>.</summary>
    public async Task<RecordedEvent?> ReadEventAsync(Guid eventId, CancellationToken cancellation) =>
        (await ReadAsync(
            $"SELECT {RecordedEventReader.Columns} FROM journal.events e WHERE e.event_id = $1",
            [new NpgsqlParameter<Guid> { TypedValue = eventId }],
            cancellation).ConfigureAwait(false)).SingleOrDefault();

    /// <summary>See <see cref="IJournalReader.ReadHeadAsync"/>.</summary>
    public async Task<Position> ReadHeadAsync(CancellationToken cancellation)
    {
        try
        {
            await using var command = database.CreateCommand("SELECT position FROM journal.head");
            return new((long)(await command.ExecuteScalarAsync(cancellation).ConfigureAwait(false))!);
        }
        catch (NpgsqlException e)
        {
            throw Unavailable(e);
        }
    }

    /// <summary>See <see cref="IJournal.ClearAsync"/>.</summary>
    public async Task ClearAsync(string streamId, CancellationToken cancellation)
    {
        try
        {
            await using var command = database.CreateCommand("SELECT journal.clear($1)");
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = streamId });
            await command.ExecuteNonQueryAsync(cancellation).ConfigureAwait(false);
        }
        catch (PostgresException e) when (e.SqlState == JournalErrorCodes.NotClearable)
        {
            throw new InvalidOperationException(e.MessageText, e);
        }
        catch (NpgsqlException e)
        {
            throw Unavailable(e);
        }
    }

    private async Task<((Snapshot Snapshot, byte[] Checksum)? Found, List<RecordedEvent> Events)> LoadAsync(
        string streamId, int foldVersion, long below, int pageSize, CancellationToken cancellation)
    {
        try
        {
            // One statement, so that both halves see one state of the tables. The snapshot rides on the event that it ends at; one whose
            // event is not in the journal is not found at all.
            await using var command = database.CreateCommand(
                $"""
                WITH s AS MATERIALIZED (
                    SELECT s.version, s.data, s.checksum
                    FROM journal.snapshots s
                    JOIN journal.events e ON e.stream_id = s.stream_id AND e.version = s.version AND e.event_id = s.event_id
                    WHERE s.stream_id = $1 AND s.fold_version = $2 AND s.version < $3
                    ORDER BY s.version DESC LIMIT 1)
                SELECT {RecordedEventReader.Columns}, s.data, s.checksum
                FROM journal.events e LEFT JOIN s ON s.version = e.version
                WHERE e.stream_id = $1 AND e.version >= coalesce((SELECT s.version FROM s), 1)
                ORDER BY e.version LIMIT $4 + (SELECT count(*) FROM s)
                """);
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = streamId });
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = foldVersion });
            command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = below });
            command.Parameters.Add(Limit(pageSize));
            await using var reader = await command.ExecuteReaderAsync(cancellation).ConfigureAwait(false);

            var events = new List<RecordedEvent>();
            (Snapshot, byte[])? found = null;
            while (await reader.ReadAsync(cancellation).ConfigureAwait(false))
            {
                var e = RecordedEventReader.Read(reader, 0);
                if (!reader.IsDBNull(9))
                    found = (
                        new(streamId, new(e.Version, e.EventId), foldVersion, reader.GetFieldValue<byte[]>(9)),
                        reader.GetFieldValue<byte[]>(10));
                events.Add(e);
            }

            return (found, events);
        }
        catch (NpgsqlException e)
        {
            throw Unavailable(e);
        }
    }

    private async Task<IReadOnlyList<RecordedEvent>> ReadAsync(string sql, NpgsqlParameter[] parameters, CancellationToken cancellation)
    {
        try
        {
            await using var command = database.CreateCommand(sql);
            command.Parameters.AddRange(parameters);
            await using var reader = await command.ExecuteReaderAsync(cancellation).ConfigureAwait(false);
            var events = new List<RecordedEvent>();
            while (await reader.ReadAsync(cancellation).ConfigureAwait(false))
                events.Add(RecordedEventReader.Read(reader, 0));
            return events;
        }
        catch (NpgsqlException e)
        {
            throw Unavailable(e);
        }
    }

    private static NpgsqlParameter<long> Limit(int limit)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        return new NpgsqlParameter<long> { TypedValue = limit };
    }

    private static JournalUnavailableException Unavailable(NpgsqlException e) =>
        new($"The journal cannot be read at present: {e.Message}", e);
}
