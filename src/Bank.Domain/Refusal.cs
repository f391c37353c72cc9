using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;

namespace Bank.Domain;

/// <summary>
/// Every expected no, in order of precedence: where several apply, the first is the answer. The numbers may change with the order; what is
/// stored and sent is the code.
/// </summary>
public enum Refusal
{
    /// <summary>No account was ever opened under this id.</summary>
    AccountNotFound,

    /// <summary>The account that is to receive was never opened.</summary>
    DestinationNotFound,

    /// <summary>Not above zero, more digits than the currency has, or above <see cref="Limits.Amount"/>.</summary>
    InvalidAmount,

    /// <summary>A transfer from an account to itself.</summary>
    SameAccount,

    AccountClosed,

    DestinationClosed,

    CurrencyMismatch,

    InsufficientFunds,

    /// <summary>The balance would exceed <see cref="Limits.Balance"/>.</summary>
    BalanceTooLarge,

    /// <inheritdoc cref="BalanceTooLarge"/>
    DestinationBalanceTooLarge,

    /// <summary>Only an account without money closes.</summary>
    AccountNotEmpty,
}

/// <summary>The stable codes of refusals: in events, in answers, in documents.</summary>
public static class RefusalCode
{
    private static readonly FrozenDictionary<Refusal, string> Codes = new Dictionary<Refusal, string>
    {
        [Refusal.AccountNotFound] = "account_not_found",
        [Refusal.DestinationNotFound] = "destination_not_found",
        [Refusal.InvalidAmount] = "malformed_request",
        [Refusal.SameAccount] = "same_account",
        [Refusal.AccountClosed] = "account_closed",
        [Refusal.DestinationClosed] = "destination_closed",
        [Refusal.CurrencyMismatch] = "currency_mismatch",
        [Refusal.InsufficientFunds] = "insufficient_funds",
        [Refusal.BalanceTooLarge] = "balance_too_large",
        [Refusal.DestinationBalanceTooLarge] = "destination_balance_too_large",
        [Refusal.AccountNotEmpty] = "account_not_empty",
    }.ToFrozenDictionary();

    private static readonly FrozenDictionary<string, Refusal> Refusals =
        Codes.ToFrozenDictionary(c => c.Value, c => c.Key, StringComparer.Ordinal);

    public static string Code(this Refusal refusal) => Codes[refusal];

    /// <exception cref="FormatException">It is no code of a refusal.</exception>
    public static Refusal Parse(string code) =>
        TryParse(code, out var refusal) ? refusal : throw new FormatException($"'{code}' is no code of a refusal");

    public static bool TryParse([NotNullWhen(true)] string? code, out Refusal refusal)
    {
        refusal = default;
        return code is not null && Refusals.TryGetValue(code, out refusal);
    }
}
