using Orleans.Runtime;
using Orleans.Streams;

namespace Orleans.EventSourcing.Postgres;

/// <summary>One queue per stream: each is read, and delivered, by one silo at a time.</summary>
internal sealed class JournalQueueMapper(string provider, int partitions, SiloAddress? silo) : IConsistentRingStreamQueueMapper
{
    private readonly JournalQueue[] _queues =
        [.. Enumerable.Range(0, partitions).Select(number => new JournalQueue(provider, new(number, partitions), silo))];

    public JournalQueue Find(QueueId id) => _queues[id.GetNumericId()];

    public IEnumerable<QueueId> GetAllQueues() => _queues.Select(queue => queue.Id);

    public IEnumerable<QueueId> GetQueuesForRange(IRingRange range) =>
        _queues.Select(queue => queue.Id).Where(id => range.InRange(id.GetUniformHashCode()));

    public QueueId GetQueueForStream(StreamId streamId) => _queues[JournalStreams.PartitionOf(streamId, partitions).Number].Id;
}
