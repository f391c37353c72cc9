using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Orleans.EventSourcing.Postgres;

/// <summary>The checksum of a snapshot's row: what it is of belongs to it as much as its data.</summary>
internal static class SnapshotChecksum
{
    /// <summary>
    /// SHA-256 of, integers big-endian: length of the stream's id in UTF-8 (4 bytes), the id, version (8), event id (16), fold version (4),
    /// data.
    /// </summary>
    public static byte[] Of(Snapshot snapshot)
    {
        var stream = Encoding.UTF8.GetBytes(snapshot.StreamId);
        Span<byte> numbers = stackalloc byte[4 + 8 + 16 + 4];
        BinaryPrimitives.WriteInt32BigEndian(numbers, stream.Length);
        BinaryPrimitives.WriteInt64BigEndian(numbers[4..], snapshot.State.Version);
        snapshot.State.EventId.TryWriteBytes(numbers[12..], bigEndian: true, out _);
        BinaryPrimitives.WriteInt32BigEndian(numbers[28..], snapshot.FoldVersion);

        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(numbers[..4]);
        hash.AppendData(stream);
        hash.AppendData(numbers[4..]);
        hash.AppendData(snapshot.Data.Span);
        return hash.GetHashAndReset();
    }
}
