namespace Bank.Contracts;

/// <summary>What travels with every command: who asked, under which id, and on which condition.</summary>
/// <param name="CommandId">
/// Derived from the idempotency key: the same for every retry. The first event that the command records has it.
/// </param>
/// <param name="CorrelationId">The request that the command came with, for the audit trail.</param>
/// <param name="Principal">Who asked; null until callers sign in.</param>
/// <param name="IfMatch">The version that the caller decided on; null for any.</param>
/// <param name="SentAt">When this call was made, by the gateway's clock; null for what nobody may have asked for before.</param>
[GenerateSerializer, Immutable, Alias("bank.CommandContext")]
public sealed record CommandContext(
    [property: Id(0)] Guid CommandId,
    [property: Id(1)] string? CorrelationId = null,
    [property: Id(2)] string? Principal = null,
    [property: Id(3)] long? IfMatch = null,
    [property: Id(4)] DateTimeOffset? SentAt = null);

/// <summary>
/// An amount as the client wrote it, before its currency is known: 12.50 is (1250, 2). The account that it is for knows how many digits
/// its currency has.
/// </summary>
/// <param name="Unscaled">The digits without the point; not negative, at most 10^18.</param>
/// <param name="Digits">How many of them stand behind the point.</param>
[GenerateSerializer, Immutable, Alias("bank.AmountText")]
public readonly record struct AmountText([property: Id(0)] long Unscaled, [property: Id(1)] byte Digits);
