using System.Text.Json;
using System.Text.Json.Serialization;
using Bank.Domain;

namespace Bank.Events;

/// <summary>
/// The JSON of stored events and of the account's snapshots: snake_case, amounts as strings with all the digits of their currency, ids as
/// lower-case UUIDs, refusals as their codes. Reading is strict: what is missing, unknown, or of another kind is a
/// <see cref="JsonException"/>.
/// </summary>
[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Strict,
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    Converters =
    [
        typeof(MoneyConverter),
        typeof(CurrencyConverter),
        typeof(AccountIdConverter),
        typeof(TransferIdConverter),
        typeof(RefusalConverter),
    ])]
[JsonSerializable(typeof(AccountOpened))]
[JsonSerializable(typeof(MoneyDeposited))]
[JsonSerializable(typeof(MoneyWithdrawn))]
[JsonSerializable(typeof(TransferSent))]
[JsonSerializable(typeof(TransferDeclined))]
[JsonSerializable(typeof(TransferReceived))]
[JsonSerializable(typeof(TransferReturned))]
[JsonSerializable(typeof(AccountClosed))]
[JsonSerializable(typeof(TransferRequested))]
[JsonSerializable(typeof(TransferRejected))]
[JsonSerializable(typeof(ReturnDecided))]
[JsonSerializable(typeof(TransferFailed))]
[JsonSerializable(typeof(TransferCompleted))]
[JsonSerializable(typeof(StoredAccountState))]
public sealed partial class BankJson : JsonSerializerContext;

internal sealed class MoneyConverter : JsonConverter<Money>
{
    public override Money Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options)
    {
        // Amounts are ASCII, so what is escaped is none; amounts of events lie in one span.
        if (reader.TokenType == JsonTokenType.String && !reader.HasValueSequence && Money.TryParse(reader.ValueSpan, out var money))
            return money;
        throw new JsonException("No amount");
    }

    public override void Write(Utf8JsonWriter writer, Money value, JsonSerializerOptions options)
    {
        Span<byte> ascii = stackalloc byte[Money.MaxLength];
        writer.WriteStringValue(ascii[..value.Format(ascii)]);
    }
}

internal sealed class CurrencyConverter : JsonConverter<Currency>
{
    public override Currency Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) =>
        Currency.TryParse(reader.GetString(), out var currency) ? currency : throw new JsonException("No currency of ISO 4217");

    public override void Write(Utf8JsonWriter writer, Currency value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.Code);
}

internal sealed class AccountIdConverter : JsonConverter<AccountId>
{
    public override AccountId Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) => new(reader.GetGuid());

    public override void Write(Utf8JsonWriter writer, AccountId value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.Value);
}

internal sealed class TransferIdConverter : JsonConverter<TransferId>
{
    public override TransferId Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) => new(reader.GetGuid());

    public override void Write(Utf8JsonWriter writer, TransferId value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.Value);
}

internal sealed class RefusalConverter : JsonConverter<Refusal>
{
    public override Refusal Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) =>
        RefusalCode.TryParse(reader.GetString(), out var refusal) ? refusal : throw new JsonException("No code of a refusal");

    public override void Write(Utf8JsonWriter writer, Refusal value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.Code());
}
