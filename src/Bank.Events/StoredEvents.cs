using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Orleans.EventSourcing.Postgres;

namespace Bank.Events;

/// <summary>One row of the table of stored events.</summary>
/// <param name="Name">What lies in the journal; it never changes.</param>
/// <param name="SchemaVersion">Version of the shape, from 1.</param>
/// <param name="Json">The event's type and its JSON of that version.</param>
public sealed record StoredEvent(string Name, short SchemaVersion, JsonTypeInfo Json);

/// <summary>Every event that the bank stores.</summary>
public static class StoredEvents
{
    public static IReadOnlyList<StoredEvent> Table { get; } =
    [
        new("AccountOpened", 1, BankJson.Default.AccountOpened),
        new("MoneyDeposited", 1, BankJson.Default.MoneyDeposited),
        new("MoneyWithdrawn", 1, BankJson.Default.MoneyWithdrawn),
        new("TransferSent", 1, BankJson.Default.TransferSent),
        new("TransferDeclined", 1, BankJson.Default.TransferDeclined),
        new("TransferReceived", 1, BankJson.Default.TransferReceived),
        new("TransferReturned", 1, BankJson.Default.TransferReturned),
        new("AccountClosed", 1, BankJson.Default.AccountClosed),
        new("TransferRequested", 1, BankJson.Default.TransferRequested),
        new("TransferRejected", 1, BankJson.Default.TransferRejected),
        new("ReturnDecided", 1, BankJson.Default.ReturnDecided),
        new("TransferFailed", 1, BankJson.Default.TransferFailed),
        new("TransferCompleted", 1, BankJson.Default.TransferCompleted),
    ];

    private static readonly FrozenDictionary<(string, short), StoredEvent> ByName =
        Table.ToFrozenDictionary(s => (s.Name, s.SchemaVersion));

    /// <summary>The event that was recorded.</summary>
    /// <exception cref="JsonException">It is none of the table, or its data cannot be read.</exception>
    public static object Decode(RecordedEvent recorded) =>
        ByName.TryGetValue((recorded.EventType, recorded.SchemaVersion), out var stored)
        && JsonSerializer.Deserialize(recorded.Data.Span, stored.Json) is { } @event
            ? @event
            : throw new JsonException($"Position {recorded.Position} holds no {recorded.EventType} that this build can read");
}
