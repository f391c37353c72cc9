using System.Globalization;
using System.Text;
using Bank.Domain;
using CsCheck;

namespace Bank.Domain.Tests;

public class MoneyTests
{
    private static readonly Gen<Money> Amounts =
        Gen.Select(Gen.Long[0, long.MaxValue], Gen.Byte[0, 4], (units, digits) => new Money(units, digits));

    [Theory]
    [InlineData("0", 0, 0)]
    [InlineData("0.00", 0, 2)]
    [InlineData("10", 10, 0)]
    [InlineData("10.00", 1000, 2)]
    [InlineData("0.5", 5, 1)]
    [InlineData("0.0001", 1, 4)]
    [InlineData("1000.00", 100_000, 2)]
    [InlineData("9223372036854775807", long.MaxValue, 0)]
    [InlineData("922337203685477.5807", long.MaxValue, 4)]
    public void An_amount_is_read_with_the_digits_in_which_it_is_written(string text, long units, byte digits)
    {
        Assert.True(Money.TryParse(text, out var money));
        Assert.Equal(new Money(units, digits), money);
        Assert.Equal(text, money.ToString());
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("-1")]
    [InlineData("-0")]
    [InlineData("+1")]
    [InlineData(" 1")]
    [InlineData("1 ")]
    [InlineData("1\n")]
    [InlineData("1e3")]
    [InlineData("1E3")]
    [InlineData("1,000")]
    [InlineData("1_000")]
    [InlineData("0x10")]
    [InlineData("NaN")]
    [InlineData("Infinity")]
    [InlineData(".")]
    [InlineData(".5")]
    [InlineData("1.")]
    [InlineData("1..0")]
    [InlineData("1.0.0")]
    [InlineData("00")]
    [InlineData("01")]
    [InlineData("00.10")]
    [InlineData("1.00000")]
    [InlineData("1\0")]
    [InlineData("\u0661")] // an Arabic digit
    [InlineData("\uff11")] // a full-width digit
    [InlineData("1\u00a0000")]
    [InlineData("9223372036854775808")]
    [InlineData("922337203685477.5808")]
    [InlineData("1000000000000000000000000000000000000000")]
    [InlineData("0000000000000000000000000000000000000001")]
    public void Anything_but_plain_digits_is_no_amount(string? text)
    {
        Assert.False(Money.TryParse(text, out var money));
        Assert.Equal(default, money);
    }

    [Fact]
    public void Every_amount_is_read_back_as_it_was_written() => Amounts.Sample(money =>
    {
        var text = money.ToString();
        var point = text.IndexOf('.', StringComparison.Ordinal);
        return Money.Parse(text) == money
            && (point < 0 ? 0 : text.Length - point - 1) == money.Digits
            && decimal.Parse(text, CultureInfo.InvariantCulture) == new decimal(money.MinorUnits) / (decimal)Math.Pow(10, money.Digits);
    });

    [Fact]
    public void Random_text_is_read_only_if_it_is_written_back_the_same() => Gen.String["0123456789.-+e, "].Sample(text =>
        !Money.TryParse(text, out var money) || money.ToString() == text);

    [Fact]
    public void Text_and_bytes_are_read_alike() => Gen.String["0123456789."].Sample(text =>
        Money.TryParse(text, out var a) == Money.TryParse(Encoding.ASCII.GetBytes(text), out var b) && a == b);

    [Theory]
    [InlineData(-1, 2, "-0.01")]
    [InlineData(-1000, 2, "-10.00")]
    [InlineData(-7, 0, "-7")]
    [InlineData(long.MinValue, 4, "-922337203685477.5808")]
    [InlineData(long.MinValue, 0, "-9223372036854775808")]
    public void An_amount_that_leaves_is_written_with_a_sign(long units, byte digits, string text) =>
        Assert.Equal(text, new Money(units, digits).ToString());

    [Theory]
    [InlineData("1.5", 2, "1.50")]
    [InlineData("10", 0, "10")]
    [InlineData("10", 4, "10.0000")]
    [InlineData("1.50", 1, null)]
    [InlineData("1.0", 0, null)]
    [InlineData("9223372036854775807", 1, null)]
    [InlineData("922337203685477580", 1, "922337203685477580.0")]
    public void An_amount_gets_more_digits_if_it_fits_and_never_fewer(string text, byte digits, string? expected)
    {
        Assert.Equal(expected is not null, Money.Parse(text).TryRescale(digits, out var money));
        Assert.Equal(expected ?? "0", money.ToString());
    }

    [Fact]
    public void An_amount_is_the_same_however_many_zeros_it_ends_with() => Amounts.Sample(money =>
    {
        var normalized = money.Normalized();
        return normalized.TryRescale(money.Digits, out var again) && again == money
            && (normalized.Digits == 0 || normalized.MinorUnits % 10 != 0);
    });

    [Fact]
    public void Sums_are_checked()
    {
        var most = new Money(long.MaxValue, 2);
        var cent = new Money(1, 2);
        Assert.Throws<OverflowException>(() => most + cent);
        Assert.Throws<OverflowException>(() => -most - cent - cent);
        Assert.Throws<OverflowException>(() => -new Money(long.MinValue, 2));
        Assert.Equal(new Money(long.MaxValue - 1, 2), most - cent);
    }

    [Fact]
    public void Amounts_of_different_digits_never_mix()
    {
        Assert.Throws<ArgumentException>(() => new Money(1, 2) + new Money(1, 0));
        Assert.Throws<ArgumentException>(() => new Money(1, 2) - new Money(1, 0));
        Assert.Throws<ArgumentException>(() => new Money(1, 2) < new Money(1, 0));
    }
}
