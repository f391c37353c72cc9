using System.Security.Cryptography;
using System.Text;

namespace Orleans.EventSourcing.Postgres;

/// <summary>The slot of a stream: partitions are ranges of slots.</summary>
public static class StreamSlot
{
    /// <summary>Number of slots.</summary>
    public const int Count = 256;

    /// <summary>The first byte of the SHA-256 of the id's UTF-8: 0 to 255, stable for ever, as <c>journal.slot</c> in SQL.</summary>
    public static byte Of(string streamId)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(streamId), hash);
        return hash[0];
    }
}
