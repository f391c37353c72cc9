using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Bank.Gateway.Live;
using Bank.Gateway.Problems;
using Bank.ReadModel;

namespace Bank.Gateway;

/// <summary>
/// The JSON of the API: snake_case, times of RFC 3339 in UTC with microseconds. Reading is strict: what is unknown, repeated or of another
/// kind is a <see cref="JsonException"/>.
/// </summary>
[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Strict,
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    Converters = [typeof(TimeConverter), typeof(RawJsonConverter)])]
[JsonSerializable(typeof(OpenRequest))]
[JsonSerializable(typeof(MoneyRequest))]
[JsonSerializable(typeof(CloseRequest))]
[JsonSerializable(typeof(TransferRequest))]
[JsonSerializable(typeof(OpenedBody))]
[JsonSerializable(typeof(MovedBody))]
[JsonSerializable(typeof(ClosedBody))]
[JsonSerializable(typeof(AccountBody))]
[JsonSerializable(typeof(ListBody<AccountBody>))]
[JsonSerializable(typeof(EventBody))]
[JsonSerializable(typeof(StreamEventsBody))]
[JsonSerializable(typeof(AllEventsBody))]
[JsonSerializable(typeof(TransferAnswerBody))]
[JsonSerializable(typeof(TransferBody))]
[JsonSerializable(typeof(ListBody<TransferBody>))]
[JsonSerializable(typeof(ListBody<TransactionBody>))]
[JsonSerializable(typeof(DaysBody))]
[JsonSerializable(typeof(ProjectionsBody))]
[JsonSerializable(typeof(ActRequest))]
[JsonSerializable(typeof(SkipRequest))]
[JsonSerializable(typeof(ActBody))]
[JsonSerializable(typeof(LiveBody))]
[JsonSerializable(typeof(HealthBody))]
[JsonSerializable(typeof(ProblemDocument))]
internal sealed partial class GatewayJson : JsonSerializerContext;

/// <summary>A page of a list.</summary>
/// <param name="NextCursor">Where the next page begins; null on the last one.</param>
/// <param name="AsOfPosition">Whatever is recorded up to here is in the page.</param>
internal sealed record ListBody<T>(IReadOnlyList<T> Items, string? NextCursor, long AsOfPosition);

internal static class ListBody
{
    /// <summary>A page of a read model, as it goes out.</summary>
    public static ListBody<TBody> Of<TRow, TBody>(Page<TRow> page, Func<TRow, TBody> body) =>
        new([.. page.Items.Select(body)], page.NextCursor, page.AsOf.Value);
}

/// <summary>An error, see <see cref="Problem"/>.</summary>
internal sealed record ProblemDocument(
    string Type,
    string Title,
    int Status,
    string Detail,
    string Code,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyDictionary<string, string[]>? Errors,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Guid? TransferId,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? TransferStatus,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? Position,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? CorrelationId);

/// <summary>JSON that goes out as the journal holds it.</summary>
internal readonly record struct RawJson(ReadOnlyMemory<byte> Utf8);

internal sealed class RawJsonConverter : JsonConverter<RawJson>
{
    public override RawJson Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        throw new NotSupportedException();

    // PostgreSQL wrote it, so it need not be looked at again.
    public override void Write(Utf8JsonWriter writer, RawJson value, JsonSerializerOptions options) =>
        writer.WriteRawValue(value.Utf8.Span, skipInputValidation: true);
}

internal sealed class TimeConverter : JsonConverter<DateTimeOffset>
{
    private const string Format = "yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'";

    public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        throw new NotSupportedException();

    public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options)
    {
        Span<byte> text = stackalloc byte[27];
        value.UtcDateTime.TryFormat(text, out var length, Format, CultureInfo.InvariantCulture);
        writer.WriteStringValue(text[..length]);
    }
}
