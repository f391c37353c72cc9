namespace Orleans.EventSourcing.Postgres;

/// <summary>Reads the record, as it was committed, a page at a time. Members may be called from any thread.</summary>
public interface IJournalReader
{
    /// <summary>Reads a stream from a version on (inclusive, from 1), at most <paramref name="limit"/> events.</summary>
    /// <exception cref="JournalUnavailableException">The journal cannot be read at present.</exception>
    Task<IReadOnlyList<RecordedEvent>> ReadStreamAsync(string streamId, long fromVersion, int limit, CancellationToken cancellation);

    /// <summary>Reads a stream after a position (exclusive), at most <paramref name="limit"/> events.</summary>
    /// <remarks>Steps over the earlier events of the stream: go on by version.</remarks>
    /// <exception cref="JournalUnavailableException">The journal cannot be read at present.</exception>
    Task<IReadOnlyList<RecordedEvent>> ReadStreamAfterAsync(string streamId, Position after, int limit, CancellationToken cancellation);

    /// <summary>Reads all streams from a position on (inclusive, from 1), at most <paramref name="limit"/> events.</summary>
    /// <exception cref="JournalUnavailableException">The journal cannot be read at present.</exception>
    Task<IReadOnlyList<RecordedEvent>> ReadAllAsync(Position from, int limit, CancellationToken cancellation);

    /// <summary>
    /// Reads what a partition holds after a position, in one snapshot: at most <paramref name="limit"/> events, and no further than the
    /// head. An interval that has come no further means that the head is there, or before.
    /// </summary>
    /// <exception cref="JournalUnavailableException">The journal cannot be read at present.</exception>
    Task<JournalInterval> ReadIntervalAsync(Partition partition, Position after, int limit, CancellationToken cancellation);

    /// <summary>Reads one event, or null where there is none of that id.</summary>
    /// <exception cref="JournalUnavailableException">The journal cannot be read at present.</exception>
    Task<RecordedEvent?> ReadEventAsync(Guid eventId, CancellationToken cancellation);

    /// <summary>The position of the last event; 0 where there is none.</summary>
    /// <exception cref="JournalUnavailableException">The journal cannot be read at present.</exception>
    Task<Position> ReadHeadAsync(CancellationToken cancellation);
}
