using System.Buffers;
using System.Text;

namespace Bank.Domain;

/// <summary>What a client may send at most, and what an account may hold. Lengths are in Unicode characters.</summary>
public static class Limits
{
    /// <summary>The largest amount of one movement, in minor units.</summary>
    public const long Amount = 1_000_000_000_000_000;

    /// <summary>
    /// The largest balance, in minor units. Returned transfers may pass it, since a return is never refused: from here to the end of a long
    /// there is room for 8,223 of the largest amounts in flight at once.
    /// </summary>
    public const long Balance = 1_000_000_000_000_000_000;

    public const int OwnerName = 200;

    /// <summary>Descriptions and reasons.</summary>
    public const int Text = 500;

    public const int IdempotencyKey = 255;

    public static bool IsOwnerName(string text) => text.Length > 0 && IsText(text, OwnerName);

    /// <summary>A description or a reason; it may be empty.</summary>
    public static bool IsText(string text) => IsText(text, Text);

    /// <summary>1 to 255 visible ASCII characters.</summary>
    public static bool IsIdempotencyKey(string key) =>
        key.Length is > 0 and <= IdempotencyKey && !key.AsSpan().ContainsAnyExceptInRange('!', '~');

    // NUL and lone surrogates are text to .NET, but neither JSON nor PostgreSQL can keep them.
    private static bool IsText(string text, int limit)
    {
        var rest = text.AsSpan();
        for (var characters = 0; !rest.IsEmpty; characters++)
        {
            if (characters == limit || rest[0] == '\0' || Rune.DecodeFromUtf16(rest, out _, out var length) != OperationStatus.Done)
                return false;
            rest = rest[length..];
        }
        return true;
    }
}
