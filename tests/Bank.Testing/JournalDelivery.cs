using Npgsql;
using Orleans.EventSourcing.Postgres;

namespace Bank.Testing;

/// <summary>
/// Delivers the journal to partitions of projections as the stream does, by hand: in order and once, or as badly as a test wants it. It
/// reads the events with a statement of its own.
/// </summary>
/// <param name="database">As <c>bank_app</c>.</param>
/// <param name="partitions">How many there are.</param>
public sealed class JournalDelivery(NpgsqlDataSource database, int partitions)
{
    private Position at;

    /// <summary>Who gets intervals: each the ones of its partition.</summary>
    public List<ProjectionPartition> Receivers { get; } = [];

    /// <summary>What is delivered of the intervals of one receiver, in which order; all of them by default.</summary>
    public Func<IReadOnlyList<JournalInterval>, IEnumerable<JournalInterval>> Fate { get; set; } = intervals => intervals;

    /// <summary>Everything up to here was read.</summary>
    public Position Position => at;

    /// <summary>Reads on to the head and delivers; returns where the head is.</summary>
    /// <param name="size">Positions per interval.</param>
    public async Task<Position> DeliverAsync(int size = 100)
    {
        var byPartition = Enumerable.Range(0, partitions).Select(_ => new List<JournalInterval>()).ToArray();
        while (await ReadAsync(size) is { Count: > 0 } events)
        {
            var to = events[^1].Position;
            var split = events.ToLookup(e => Partition.Of(StreamSlot.Of(e.StreamId), partitions).Number);
            for (var n = 0; n < partitions; n++)
                byPartition[n].Add(new(new(n, partitions), at, to, [.. split[n]]));
            at = to;
        }

        ProjectionPartition[] receivers;
        lock (Receivers)
            receivers = [.. Receivers];
        foreach (var receiver in receivers)
        {
            foreach (var interval in Fate(byPartition[receiver.Partition.Number]))
                receiver.Offer(interval);
            // What a stream begins with, and repeats.
            if (byPartition[0].Count == 0)
                receiver.Offer(new(receiver.Partition, at, at, []));
        }

        return at;
    }

    /// <summary>Delivers, and again what has come meanwhile, until it is told to stop.</summary>
    public async Task KeepDeliveringAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            await DeliverAsync();
            await Task.Delay(5, CancellationToken.None);
        }
    }

    private async Task<List<RecordedEvent>> ReadAsync(int size)
    {
        await using var command = database.CreateCommand(
            """
            SELECT position, event_id, stream_id, version, event_type, schema_version, data::text, metadata::text, recorded_at
            FROM journal.events WHERE position > $1 ORDER BY position LIMIT $2
            """);
        command.Parameters.Add(new() { Value = at.Value });
        command.Parameters.Add(new() { Value = size });
        var events = new List<RecordedEvent>();
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
            events.Add(new(
                new(reader.GetInt64(0)), reader.GetGuid(1), reader.GetString(2), reader.GetInt64(3), reader.GetString(4),
                reader.GetInt16(5), System.Text.Encoding.UTF8.GetBytes(reader.GetString(6)),
                System.Text.Encoding.UTF8.GetBytes(reader.GetString(7)),
                reader.GetFieldValue<DateTimeOffset>(8)));
        return events;
    }
}
