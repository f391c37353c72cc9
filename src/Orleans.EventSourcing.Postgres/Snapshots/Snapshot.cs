namespace Orleans.EventSourcing.Postgres;

/// <summary>A disposable cache of a fold. One that is missing, damaged, or of another fold or history means replay.</summary>
/// <param name="StreamId">The stream that was folded.</param>
/// <param name="State">The state of the stream that the fold ends at.</param>
/// <param name="FoldVersion">Which code folded it.</param>
/// <param name="Data">UTF-8 JSON of the view.</param>
public sealed record Snapshot(string StreamId, StreamState State, int FoldVersion, ReadOnlyMemory<byte> Data);

/// <summary>The beginning of a stream's load: a sound snapshot where there is one, and the first page of events.</summary>
/// <param name="Snapshot">
/// The newest snapshot of the asked fold version whose checksum holds and whose event id is the journal's at its version; else null.
/// </param>
/// <param name="SnapshotEvent">The event that the snapshot ends at, as the journal holds it; null where there is no snapshot.</param>
/// <param name="Events">
/// The events after the snapshot, or from version 1, in order: all that are left where fewer than the page's size.
/// </param>
public sealed record LoadedStream(Snapshot? Snapshot, RecordedEvent? SnapshotEvent, IReadOnlyList<RecordedEvent> Events);
