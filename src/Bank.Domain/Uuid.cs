using System.Security.Cryptography;
using System.Text;

namespace Bank.Domain;

/// <summary>UUIDs as RFC 9562 has them: the strict text form, and version 5, made from a name.</summary>
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
}
