using Microsoft.Extensions.Logging;
using Orleans.Runtime;
using Orleans.Streams;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// Finds the events of a queue's subscribers: in the tailer's window, or further back in the table. Each subscriber has a cursor of its own
/// that holds nothing but its place, so none is too far back, and none keeps the others.
/// </summary>
internal sealed class JournalQueueCache(
    JournalQueue queue, JournalTailer tailer, JournalStreamOptions options, TimeProvider time, ILogger log) : IQueueCache
{
    /// <summary>What the receiver returns is only a reason to look.</summary>
    public void AddToCache(IList<IBatchContainer> messages)
    {
    }

    public IQueueCacheCursor GetCacheCursor(StreamId streamId, StreamSequenceToken? token) =>
        new JournalCursor(queue, token ?? JournalStreams.After(tailer.Position), tailer, options, time, log);

    public QueueCacheCursorResult<IQueueCacheCursor> TryGetCacheCursor(StreamId streamId, StreamSequenceToken? token) =>
        QueueCacheCursorResult<IQueueCacheCursor>.FromCursor(GetCacheCursor(streamId, token));

    public QueueCacheCursorResult<IQueueCacheCursor> TryGetCacheCursorAtPosition(
        StreamId streamId, StreamSubscriptionStartPosition startPosition) =>
        TryGetCacheCursor(
            streamId,
            startPosition == StreamSubscriptionStartPosition.EarliestAvailable ? JournalStreams.After(default(Position)) : null);

    public bool TryPurgeFromCache(out IList<IBatchContainer> purgedItems)
    {
        purgedItems = [];
        return false;
    }

    public bool IsUnderPressure() => false;

    public int GetMaxAddCount() => QueueAdapterConstants.UNLIMITED_GET_QUEUE_MSG;
}
