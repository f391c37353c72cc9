using System.Buffers;
using System.Buffers.Binary;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Bank.ReadModel;

/// <summary>A cursor that was not made by the list that it is given to, or not with these filters.</summary>
public sealed class InvalidCursorException() : Exception("The cursor belongs to no list with these filters.");

/// <summary>
/// Where a page ended: the key of its last row, opaque to clients. It carries a checksum over itself, its list and the list's filters, so
/// that one that was changed, or comes from elsewhere, is noticed; it is no secret, and gives access to nothing.
/// </summary>
/// <param name="list">Name of the list.</param>
/// <param name="filters">What was asked for, apart from the page.</param>
internal sealed class Cursor(string list, params string?[] filters)
{
    private const int CheckLength = 10;

    /// <summary>The cursor after a row with these parts of a key.</summary>
    public string After(params ReadOnlySpan<long> key)
    {
        Span<byte> bytes = stackalloc byte[CheckLength + key.Length * sizeof(long)];
        for (var i = 0; i < key.Length; i++)
            BinaryPrimitives.WriteInt64BigEndian(bytes[(CheckLength + i * sizeof(long))..], key[i]);
        Check(bytes[CheckLength..]).CopyTo(bytes);
        return Base64Url.EncodeToString(bytes);
    }

    /// <summary>The parts of the key; null where there is no cursor: the list begins.</summary>
    /// <exception cref="InvalidCursorException">It is not one of this list's.</exception>
    public long[]? Read(string? cursor, int parts)
    {
        if (cursor is null)
            return null;
        var bytes = new byte[CheckLength + parts * sizeof(long)];
        if (cursor.Length != Base64Url.GetEncodedLength(bytes.Length)
            || Base64Url.DecodeFromChars(cursor, bytes, out _, out var length) != OperationStatus.Done
            || length != bytes.Length
            // Several texts can decode to the same bytes.
            || Base64Url.EncodeToString(bytes) != cursor
            || !Check(bytes.AsSpan(CheckLength)).SequenceEqual(bytes.AsSpan(0, CheckLength)))
        {
            throw new InvalidCursorException();
        }

        var key = new long[parts];
        for (var i = 0; i < parts; i++)
            key[i] = BinaryPrimitives.ReadInt64BigEndian(bytes.AsSpan(CheckLength + i * sizeof(long)));
        return key;
    }

    private ReadOnlySpan<byte> Check(ReadOnlySpan<byte> key)
    {
        // Each filter with its length, so that two of them cannot run into each other.
        var text = new StringBuilder(list);
        foreach (var filter in filters)
            text.Append('\n').Append(filter?.Length ?? -1).Append(':').Append(filter);
        text.Append('\n').Append(Convert.ToHexString(key));
        return SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())).AsSpan(0, CheckLength);
    }
}
