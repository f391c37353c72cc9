using System.Buffers.Binary;
using System.Buffers.Text;

namespace Bank.Gateway.Queries;

/// <summary>The list that a cursor belongs to; a cursor of one is none of another.</summary>
internal enum CursorKind : byte
{
    Accounts = 1,
    Transfers = 2,
}

/// <summary>Where the next page of a list begins, as text that means nothing to clients.</summary>
internal static class Cursor
{
    private const int Size = 1 + sizeof(long);

    public static string Of(CursorKind kind, long position)
    {
        Span<byte> bytes = stackalloc byte[Size];
        bytes[0] = (byte)kind;
        BinaryPrimitives.WriteInt64BigEndian(bytes[1..], position);
        return Base64Url.EncodeToString(bytes);
    }

    public static bool TryParse(CursorKind kind, string text, out long position)
    {
        position = 0;
        Span<byte> bytes = stackalloc byte[Size];
        // Nine bytes are twelve characters, with no bit to spare: every cursor is written in one way only.
        if (text.Length != 12 || !Base64Url.TryDecodeFromChars(text, bytes, out var length) || length != Size || bytes[0] != (byte)kind)
            return false;
        position = BinaryPrimitives.ReadInt64BigEndian(bytes[1..]);
        return position > 0;
    }
}
