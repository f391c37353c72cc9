using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using Bank.Domain;
using Orleans.EventSourcing.Postgres;

namespace Bank.Gateway.Live;

/// <summary>An event as live feeds send it: as everywhere, and the account that it is of.</summary>
/// <param name="Balance">After the event; null where it is not an account's, or moves no money.</param>
internal sealed record LiveBody(
    Guid EventId,
    string StreamId,
    long Version,
    long Position,
    string EventType,
    short SchemaVersion,
    RawJson Data,
    RawJson Metadata,
    DateTimeOffset RecordedAt,
    Guid? AccountId,
    string? Balance);

/// <summary>Writes events for live feeds, each once for all that are sent it: what follows the head gets the same objects.</summary>
internal sealed class LiveMessages
{
    private readonly ConditionalWeakTable<RecordedEvent, byte[]> _written = [];

    /// <summary>The message: UTF-8 JSON on one line.</summary>
    public ReadOnlyMemory<byte> Of(RecordedEvent e) => _written.GetValue(e, static e => JsonSerializer.SerializeToUtf8Bytes(
        new LiveBody(
            e.EventId,
            e.StreamId,
            e.Version,
            e.Position.Value,
            e.EventType,
            e.SchemaVersion,
            new(e.Data),
            new(e.Metadata),
            e.RecordedAt,
            AccountId.TryParseStream(e.StreamId, out var account) ? account.Value : null,
            account == default ? null : BalanceOf(e.Data.Span)),
        GatewayJson.Default.LiveBody));

    private static string? BalanceOf(ReadOnlySpan<byte> data)
    {
        var json = new Utf8JsonReader(data);
        json.Read();
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            var isBalance = json.ValueTextEquals("balance_after"u8);
            json.Read();
            if (isBalance)
                return json.GetString();
            json.Skip();
        }

        return null;
    }
}
