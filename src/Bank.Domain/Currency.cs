using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;

namespace Bank.Domain;

/// <summary>
/// A currency of ISO 4217 with its number of minor digits. <c>default</c> is no currency: that of an account that was never opened.
/// </summary>
/// <remarks>Codes without minor units (metals, SDR, testing and the like) are no currency that an account can be kept in.</remarks>
public readonly record struct Currency
{
    private static readonly FrozenDictionary<string, Currency> Table = Codes().ToFrozenDictionary(c => c.Code, StringComparer.Ordinal);

    private readonly string? _code;

    private Currency(string code, byte digits) => (_code, Digits) = (code, digits);

    /// <summary>Three upper-case letters, empty for no currency.</summary>
    public string Code => _code ?? "";

    /// <summary>How many digits its amounts have after the point: 0 to 4.</summary>
    public byte Digits { get; }

    /// <summary>Every currency, in no order.</summary>
    public static IReadOnlyList<Currency> All => Table.Values;

    /// <summary>Finds a currency by its code, which is case-sensitive.</summary>
    public static bool TryParse([NotNullWhen(true)] string? code, out Currency currency)
    {
        currency = default;
        return code is not null && Table.TryGetValue(code, out currency);
    }

    /// <summary>The currency of a code that is known to be one.</summary>
    /// <exception cref="FormatException">There is no such currency.</exception>
    public static Currency Parse(string code) =>
        TryParse(code, out var currency) ? currency : throw new FormatException($"'{code}' is no currency of ISO 4217");

    public override string ToString() => Code;

    private static IEnumerable<Currency> Codes()
    {
        const string none = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
        const string two =
            "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC " +
            "CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR " +
            "KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN " +
            "PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS " +
            "UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG";
        const string three = "BHD IQD JOD KWD LYD OMR TND";
        const string four = "CLF UYW";
        (string Codes, byte Digits)[] groups = [(none, 0), (two, 2), (three, 3), (four, 4)];
        return groups.SelectMany(group => group.Codes.Split(' ').Select(code => new Currency(code, group.Digits)));
    }
}
