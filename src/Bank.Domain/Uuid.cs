using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Bank.Domain;

/// <summary>UUIDs as RFC 9562 has them: the strict text form, version 5, made from a name, and the time of version 7.</summary>
public static class Uuid
{
    /// <summary>Reads 8-4-4-4-12 hexadecimal digits of either case, and nothing else.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out Guid id)
    {
        id = default;
        if (text.Length != 36)
            return false;
        // Guid's own parsers let spaces, signs and 0x through, so that one id could be written in several ways.
        for (var i = 0; i < text.Length; i++)
        {
            if (i is 8 or 13 or 18 or 23 ? text[i] != '-' : !char.IsAsciiHexDigit(text[i]))
                return false;
        }
        return Guid.TryParseExact(text, "D", out id);
    }

    /// <summary>The name-based id (version 5) of a name in a namespace; the name counts as UTF-8.</summary>
    public static Guid V5(Guid space, string name)
    {
        Span<byte> input = stackalloc byte[16 + Encoding.UTF8.GetMaxByteCount(Math.Min(name.Length, 300))];
        if (name.Length > 300)
            input = new byte[16 + Encoding.UTF8.GetMaxByteCount(name.Length)];
        space.TryWriteBytes(input, bigEndian: true, out _);
        var length = 16 + Encoding.UTF8.GetBytes(name, input[16..]);
        Span<byte> hash = stackalloc byte[SHA1.HashSizeInBytes];
#pragma warning disable CA5350 // The RFC says SHA-1. It makes a name of a name here, and guards nothing.
        SHA1.HashData(input[..length], hash);
#pragma warning restore CA5350
        hash[6] = (byte)((hash[6] & 0x0F) | 0x50);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new(hash[..16], bigEndian: true);
    }

    /// <summary>
    /// An id (version 8) that begins with the time of another, of version 7 or made by this, and goes on as a third. What was made at about
    /// one time lies together in an index then, where names are spread over all of it.
    /// </summary>
    /// <param name="time">Has the time in its first 48 bits.</param>
    /// <param name="rest">Has what makes the id unique in its other 74.</param>
    public static Guid At(Guid time, Guid rest)
    {
        Span<byte> id = stackalloc byte[16], first = stackalloc byte[16];
        rest.TryWriteBytes(id, bigEndian: true, out _);
        time.TryWriteBytes(first, bigEndian: true, out _);
        first[..6].CopyTo(id);
        id[6] = (byte)((id[6] & 0x0F) | 0x80);
        return new(id, bigEndian: true);
    }

    /// <summary>The time of an id of version 7, in milliseconds since 1970: up to the year 10889, beyond <see cref="DateTime"/>.</summary>
    public static long TimeOf(Guid id)
    {
        Span<byte> bytes = stackalloc byte[16];
        id.TryWriteBytes(bytes, bigEndian: true, out _);
        return (long)(BinaryPrimitives.ReadUInt64BigEndian(bytes) >> 16);
    }
}
