using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Npgsql;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Journal;

/// <summary>
/// Checks a whole record against what <c>functions/append.sql</c> writes down, with code of its own: dense positions, versions 1 to n in
/// each stream, a time that never falls, batches without gaps, and every root and chain.
/// </summary>
internal static class Audit
{
    public static async Task VerifyAsync(NpgsqlDataSource database, CancellationToken cancellation)
    {
        var events = await ReadEventsAsync(database, cancellation);
        var batches = await ReadBatchesAsync(database, cancellation);

        var versions = new Dictionary<string, long>(StringComparer.Ordinal);
        for (var i = 0; i < events.Count; i++)
        {
            var e = events[i];
            Assert.True(e.Position == i + 1, $"position {i + 1} is missing: {e.Position} follows {i}");
            var version = versions[e.StreamId] = versions.GetValueOrDefault(e.StreamId) + 1;
            Assert.True(e.Version == version, $"{e.StreamId} has version {e.Version} where {version} belongs");
            Assert.True(e.Slot == SHA256.HashData(Encoding.UTF8.GetBytes(e.StreamId))[0], $"{e.StreamId} has slot {e.Slot}");
            Assert.True(i == 0 || events[i - 1].RecordedAt <= e.RecordedAt, $"time falls at position {e.Position}");
        }

        Assert.Equal(events.Count, events.DistinctBy(e => e.EventId).Count());

        var (chain, last) = (new byte[32], 0L);
        for (var i = 0; i < batches.Count; i++)
        {
            var b = batches[i];
            Assert.True(
                b.Number == i + 1 && b.First == last + 1 && b.Format == 1, $"batch {b} does not follow batch {i}, which ends at {last}");
            Assert.True(b.Last <= events.Count, $"batch {b} ends behind the last event");
            last = b.Last;
            var its = events[(int)(b.First - 1)..(int)b.Last];
            Assert.All(its, e => Assert.Equal(b.RecordedAt, e.RecordedAt));
            var root = RootOf(its);
            Assert.True(root.AsSpan().SequenceEqual(b.Root), $"the root of batch {b} is not that of its events");
            chain = ChainOf(chain, root, b);
            Assert.True(chain.AsSpan().SequenceEqual(b.Chain), $"the chain of batch {b} is not that of the batches before it");
        }

        Assert.Equal(events.Count, last);
        await using var head = database.CreateCommand("SELECT position, batch, chain, recorded_at FROM journal.head");
        await using var reader = await head.ExecuteReaderAsync(cancellation);
        Assert.True(await reader.ReadAsync(cancellation));
        Assert.Equal((last, (long)batches.Count), (reader.GetInt64(0), reader.GetInt64(1)));
        Assert.Equal(chain, reader.GetFieldValue<byte[]>(2));
        Assert.True(batches is [] || reader.GetDateTime(3) >= batches[^1].RecordedAt, "the head is older than its last batch");
    }

    private static byte[] RootOf(IEnumerable<Event> events)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var e in events)
        {
            var data = Encoding.UTF8.GetBytes(e.Data);
            hash.AppendData(e.EventId.ToByteArray(bigEndian: true));
            hash.AppendData(BigEndian(data.Length));
            hash.AppendData(data);
        }

        return hash.GetHashAndReset();
    }

    private static byte[] ChainOf(byte[] before, byte[] root, Batch batch) => SHA256.HashData(
    [
        .. before, .. root, .. BigEndian(batch.Number), .. BigEndian(batch.First), .. BigEndian(batch.Last),
        .. BigEndian((batch.RecordedAt - DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond),
    ]);

    private static byte[] BigEndian(int value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, value);
        return bytes;
    }

    private static byte[] BigEndian(long value)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteInt64BigEndian(bytes, value);
        return bytes;
    }

    private static async Task<List<Event>> ReadEventsAsync(NpgsqlDataSource database, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            "SELECT position, event_id, stream_id, version, slot, data::text, recorded_at FROM journal.events ORDER BY position");
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var events = new List<Event>();
        while (await reader.ReadAsync(cancellation))
            events.Add(new(reader.GetInt64(0), reader.GetGuid(1), reader.GetString(2), reader.GetInt64(3), reader.GetInt16(4),
                reader.GetString(5), reader.GetDateTime(6)));
        return events;
    }

    private static async Task<List<Batch>> ReadBatchesAsync(NpgsqlDataSource database, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            "SELECT batch, first_position, last_position, recorded_at, format, root, chain FROM journal.batches ORDER BY batch");
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var batches = new List<Batch>();
        while (await reader.ReadAsync(cancellation))
            batches.Add(new(reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetDateTime(3), reader.GetInt16(4),
                reader.GetFieldValue<byte[]>(5), reader.GetFieldValue<byte[]>(6)));
        return batches;
    }

    private sealed record Event(
        long Position, Guid EventId, string StreamId, long Version, short Slot, string Data, DateTime RecordedAt);

    private sealed record Batch(long Number, long First, long Last, DateTime RecordedAt, short Format, byte[] Root, byte[] Chain)
    {
        public override string ToString() => $"{Number} ({First}..{Last})";
    }
}
