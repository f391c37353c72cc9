using Bank.Domain;

namespace Bank.Domain.Tests;

public class CurrencyTests
{
    [Theory]
    [InlineData("JPY", 0)]
    [InlineData("USD", 2)]
    [InlineData("EUR", 2)]
    [InlineData("XAD", 2)]
    [InlineData("KWD", 3)]
    [InlineData("CLF", 4)]
    public void A_currency_has_the_minor_digits_of_ISO_4217(string code, byte digits)
    {
        Assert.True(Currency.TryParse(code, out var currency));
        Assert.Equal((code, digits), (currency.Code, currency.Digits));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("usd")]
    [InlineData("US")]
    [InlineData("USD ")]
    [InlineData("XXX")]
    [InlineData("XAU")]
    [InlineData("DEM")]
    [InlineData("BGN")]
    [InlineData("ZZZ")]
    public void What_is_no_current_currency_with_minor_units_is_refused(string? code) =>
        Assert.False(Currency.TryParse(code, out _));

    // The list of 2026 has 178 codes, 13 of which (metals, bond units, SDR, Sucre, ADB unit, testing, none) have no minor units.
    [Fact]
    public void The_table_is_complete() => Assert.Equal(
        [(0, 17), (2, 139), (3, 7), (4, 2)],
        Currency.All.CountBy(c => (int)c.Digits).OrderBy(c => c.Key).Select(c => (c.Key, c.Value)));

    [Fact]
    public void No_currency_has_an_empty_code() => Assert.Equal("", default(Currency).ToString());
}
