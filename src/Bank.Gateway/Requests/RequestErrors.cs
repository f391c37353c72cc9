using Bank.Contracts;
using Bank.Domain;
using Bank.Gateway.Problems;

namespace Bank.Gateway.Requests;

/// <summary>
/// What is wrong with a request, by field, parameter or header. Values are checked here; all that is wrong is said at once.
/// </summary>
internal sealed class RequestErrors
{
    private readonly Dictionary<string, string[]> _errors = new(StringComparer.Ordinal);

    /// <summary>The first thing that is wrong with a field is the one that is said.</summary>
    public void Add(string field, string error) => _errors.TryAdd(field, [error]);

    /// <exception cref="RequestRefusedException">Something is wrong.</exception>
    public void ThrowIfAny()
    {
        if (_errors.Count > 0)
            throw new RequestRefusedException(new(ProblemCode.MalformedRequest) { Errors = _errors });
    }

    /// <summary>
    /// An amount as it was written. Whether its digits are too many, and itself too large, for its currency is for the account to say.
    /// </summary>
    public AmountText Amount(string field, string? text, bool orZero = false)
    {
        if (text is null)
            Add(field, Missing);
        else if (!Money.TryParse(text, out var money) || money.MinorUnits > Limits.Amount || (money.MinorUnits == 0 && !orZero))
            Add(field, AmountRule(orZero));
        else
            return new(money.MinorUnits, money.Digits);
        return default;
    }

    public string OwnerName(string field, string? text)
    {
        if (text is null)
            Add(field, Missing);
        else if (!Limits.IsOwnerName(text))
            Add(field, $"must have 1 to {Limits.OwnerName} characters, none of them NUL");
        return text ?? "";
    }

    public string Text(string field, string text)
    {
        if (!Limits.IsText(text))
            Add(field, $"must have at most {Limits.Text} characters, none of them NUL");
        return text;
    }

    public string Currency(string field, string text)
    {
        if (!Domain.Currency.TryParse(text, out _))
            Add(field, "must be the code of a currency of ISO 4217");
        return text;
    }

    public AccountId Account(string field, string? text)
    {
        AccountId id = default;
        if (text is null)
            Add(field, Missing);
        else if (!AccountId.TryParse(text, out id))
            Add(field, "must be a UUID");
        return id;
    }

    /// <summary>What an account says of an amount that its currency does not allow.</summary>
    public static string AmountRule(bool orZero) =>
        $"must be {(orZero ? "zero or a" : "a")} positive decimal number in a string, such as \"12.50\", with no more digits than its " +
        "currency has, and of at most 10^15 minor units";

    private const string Missing = "is missing";
}
