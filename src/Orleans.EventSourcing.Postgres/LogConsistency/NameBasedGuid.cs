using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Orleans.EventSourcing.Postgres;

/// <summary>Name-based ids (RFC 9562, version 5).</summary>
internal static class NameBasedGuid
{
    /// <summary>The id of the <paramref name="n"/>th event of a command: the first one has the command's own.</summary>
    public static Guid OfEvent(Guid commandId, int n) =>
        n == 1 ? commandId : Create(commandId, n.ToString(CultureInfo.InvariantCulture));

    private static Guid Create(Guid space, string name)
    {
        Span<byte> input = stackalloc byte[16 + Encoding.UTF8.GetMaxByteCount(name.Length)];
        space.TryWriteBytes(input, bigEndian: true, out _);
        var length = 16 + Encoding.UTF8.GetBytes(name, input[16..]);
        Span<byte> hash = stackalloc byte[SHA1.HashSizeInBytes];
#pragma warning disable CA5350 // Version 5 is defined on SHA-1; nothing is kept secret or signed by it.
        SHA1.HashData(input[..length], hash);
#pragma warning restore CA5350
        hash[6] = (byte)((hash[6] & 0x0F) | 0x50);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new Guid(hash[..16], bigEndian: true);
    }
}
