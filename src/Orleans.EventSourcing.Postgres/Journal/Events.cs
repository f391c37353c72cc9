namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// The state of a stream: its version (number of events) and the id of the event at that version. The id makes a journal that was restored
/// and has grown again distinguishable from the one it was restored from.
/// </summary>
/// <param name="Version">Number of events; 0 means that the stream has no event.</param>
/// <param name="EventId">Id of the event at <paramref name="Version"/>; <see cref="Guid.Empty"/> at version 0.</param>
public readonly record struct StreamState(long Version, Guid EventId)
{
    /// <summary>A stream without events.</summary>
    public static StreamState Empty => default;
}

/// <summary>An event that is about to be appended. Its version, position and time are given by the journal.</summary>
/// <param name="EventId">Unique for ever, across all streams.</param>
/// <param name="EventType">Stored name, at most 100 characters.</param>
/// <param name="SchemaVersion">Version of the shape of <paramref name="Data"/>, from 1.</param>
/// <param name="Data">UTF-8 JSON.</param>
/// <param name="Metadata">UTF-8 JSON object, see <see cref="EventMetadata"/>.</param>
public readonly record struct NewEvent(
    Guid EventId,
    string EventType,
    short SchemaVersion,
    ReadOnlyMemory<byte> Data,
    ReadOnlyMemory<byte> Metadata);

/// <summary>An event as the journal holds it.</summary>
/// <param name="Position">Place in the global order.</param>
/// <param name="EventId">Unique id.</param>
/// <param name="StreamId">The stream that it belongs to.</param>
/// <param name="Version">Place in the stream, from 1.</param>
/// <param name="EventType">Stored name.</param>
/// <param name="SchemaVersion">Version of the shape of <paramref name="Data"/>.</param>
/// <param name="Data">UTF-8 JSON, as Postgres prints its <c>jsonb</c>.</param>
/// <param name="Metadata">UTF-8 JSON object, as Postgres prints its <c>jsonb</c>.</param>
/// <param name="RecordedAt">Time of the batch, UTC, microseconds; never falls along positions.</param>
[GenerateSerializer, Immutable, Alias("journal.RecordedEvent")]
public sealed record RecordedEvent(
    [property: Id(0)] Position Position,
    [property: Id(1)] Guid EventId,
    [property: Id(2)] string StreamId,
    [property: Id(3)] long Version,
    [property: Id(4)] string EventType,
    [property: Id(5)] short SchemaVersion,
    [property: Id(6)] ReadOnlyMemory<byte> Data,
    [property: Id(7)] ReadOnlyMemory<byte> Metadata,
    [property: Id(8)] DateTimeOffset RecordedAt);
