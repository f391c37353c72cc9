using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Bank.Domain;

/// <summary>
/// An exact amount: <paramref name="MinorUnits"/> of 10^-<paramref name="Digits"/>. "10.00" is (1000, 2), "10" is (10, 0).
/// </summary>
/// <remarks>
/// It carries the digits of its currency but not the currency: a stream has one currency, named once by its first event, and the amounts of
/// the later ones are stored as strings with all their digits. So an event reads and writes without knowing its stream, and amounts of
/// different digits never mix by accident. Who lets two streams exchange money compares their currencies.
/// </remarks>
/// <param name="MinorUnits">The amount in its smallest unit, such as cents.</param>
/// <param name="Digits">Decimal places, 0 to <see cref="MaxDigits"/>.</param>
public readonly record struct Money(long MinorUnits, byte Digits) : IComparable<Money>
{
    /// <summary>The most decimal places that any currency has.</summary>
    public const int MaxDigits = 4;

    /// <summary>The longest text: sign, the 19 digits of a long, point.</summary>
    public const int MaxLength = 21;

    private static readonly long[] Powers = [1, 10, 100, 1_000, 10_000];

    public static Money Zero(Currency currency) => new(0, currency.Digits);

    /// <summary>
    /// Reads digits with at most one point between them: no sign, exponent, space, separator or needless leading zero, so that one amount
    /// is written in as few ways as possible. The digits are those of the text: see <see cref="TryRescale"/>.
    /// </summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out Money money)
    {
        money = default;
        if (text is not { Length: <= MaxLength })
            return false;
        Span<byte> ascii = stackalloc byte[text.Length];
        for (var i = 0; i < text.Length; i++)
        {
            if (!char.IsAscii(text[i]))
                return false;
            ascii[i] = (byte)text[i];
        }
        return TryParse(ascii, out money);
    }

    /// <inheritdoc cref="TryParse(string?, out Money)"/>
    public static bool TryParse(ReadOnlySpan<byte> ascii, out Money money)
    {
        money = default;
        var point = ascii.IndexOf((byte)'.');
        var whole = point < 0 ? ascii : ascii[..point];
        var fraction = point < 0 ? [] : ascii[(point + 1)..];
        if (whole.IsEmpty || (whole[0] == '0' && whole.Length > 1) || (point >= 0 && fraction.Length is 0 or > MaxDigits))
            return false;
        long units = 0;
        foreach (var c in ascii)
        {
            if (c == '.')
                continue;
            var digit = c - '0';
            if (digit is < 0 or > 9 || units > (long.MaxValue - digit) / 10)
                return false;
            units = units * 10 + digit;
        }
        // A second point lies in the fraction, where the loop would have skipped it.
        if (fraction.Contains((byte)'.'))
            return false;
        money = new(units, (byte)fraction.Length);
        return true;
    }

    /// <summary>An amount that is known to be one.</summary>
    /// <exception cref="FormatException">The text is no amount.</exception>
    public static Money Parse(string text) => TryParse(text, out var money) ? money : throw new FormatException($"'{text}' is no amount");

    /// <summary>
    /// The same amount with that many digits; false if it has more already, even if they are zeros, or does not fit.
    /// </summary>
    public bool TryRescale(byte digits, out Money money)
    {
        money = default;
        if (digits < Digits || digits > MaxDigits)
            return false;
        var power = Powers[digits - Digits];
        if (MinorUnits > long.MaxValue / power || MinorUnits < long.MinValue / power)
            return false;
        money = new(MinorUnits * power, digits);
        return true;
    }

    /// <summary>The same amount with the fewest digits: "1.50" and "1.5" become equal.</summary>
    public Money Normalized()
    {
        var (units, digits) = this;
        for (; digits > 0 && units % 10 == 0; digits--)
            units /= 10;
        return new(units, digits);
    }

    /// <exception cref="OverflowException">The sum does not fit.</exception>
    /// <exception cref="ArgumentException">The digits differ.</exception>
    public static Money operator +(Money a, Money b) => new(checked(a.MinorUnits + b.MinorUnits), Same(a, b));

    /// <inheritdoc cref="op_Addition"/>
    public static Money operator -(Money a, Money b) => new(checked(a.MinorUnits - b.MinorUnits), Same(a, b));

    public static Money operator -(Money a) => new(checked(-a.MinorUnits), a.Digits);

    public static bool operator <(Money a, Money b) => a.CompareTo(b) < 0;

    public static bool operator >(Money a, Money b) => a.CompareTo(b) > 0;

    public static bool operator <=(Money a, Money b) => a.CompareTo(b) <= 0;

    public static bool operator >=(Money a, Money b) => a.CompareTo(b) >= 0;

    /// <exception cref="ArgumentException">The digits differ.</exception>
    public int CompareTo(Money other)
    {
        Same(this, other);
        return MinorUnits.CompareTo(other.MinorUnits);
    }

    /// <summary>Writes the amount in ASCII with all its digits, such as "1000.00"; returns how many bytes.</summary>
    /// <param name="ascii">Room for at least <see cref="MaxLength"/> bytes.</param>
    public int Format(Span<byte> ascii)
    {
        var at = ascii.Length;
        // Unsigned, so that the one amount without a counterpart, long.MinValue, is written too.
        var units = MinorUnits < 0 ? 0 - (ulong)MinorUnits : (ulong)MinorUnits;
        for (var digit = 0; digit <= Digits || units > 0; digit++, units /= 10)
        {
            if (digit == Digits && Digits > 0)
                ascii[--at] = (byte)'.';
            ascii[--at] = (byte)('0' + units % 10);
        }
        if (MinorUnits < 0)
            ascii[--at] = (byte)'-';
        ascii[at..].CopyTo(ascii);
        return ascii.Length - at;
    }

    public override string ToString()
    {
        Span<byte> ascii = stackalloc byte[MaxLength];
        return System.Text.Encoding.ASCII.GetString(ascii[..Format(ascii)]);
    }

    private static byte Same(Money a, Money b) => a.Digits == b.Digits
        ? a.Digits
        : throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"{a} and {b} are amounts of different digits"));
}
