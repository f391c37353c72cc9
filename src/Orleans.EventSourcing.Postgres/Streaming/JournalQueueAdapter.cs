using Microsoft.Extensions.Logging;
using Orleans.Runtime;
using Orleans.Runtime.Providers;
using Orleans.Streams;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// One of the two stream providers. On a silo it makes receivers and caches; on a client, which has no tailer, it makes none, and
/// subscribes only.
/// </summary>
internal sealed class JournalQueueAdapter(
    string name, int partitions, SiloAddress? silo, JournalStreamOptions options, JournalTailer? tailer, TimeProvider time, ILogger log)
    : IQueueAdapterFactory, IQueueAdapter, IQueueAdapterCache
{
    private readonly JournalQueueMapper _queues = new(name, partitions, silo);

    public string Name => name;

    public bool IsRewindable => true;

    public StreamProviderDirection Direction => StreamProviderDirection.ReadOnly;

    public Task<IQueueAdapter> CreateAdapter() => Task.FromResult<IQueueAdapter>(this);

    public IQueueAdapterCache GetQueueAdapterCache() => this;

    public IStreamQueueMapper GetStreamQueueMapper() => _queues;

    public Task<IStreamFailureHandler> GetDeliveryFailureHandler(QueueId queueId) =>
        Task.FromResult<IStreamFailureHandler>(new NoOpStreamDeliveryFailureHandler());

    public IQueueCache CreateQueueCache(QueueId queueId) => new JournalQueueCache(_queues.Find(queueId), Tailer, options, time, log);

    public IQueueAdapterReceiver CreateReceiver(QueueId queueId) =>
        new JournalQueueReceiver(_queues.Find(queueId), Tailer, options, time);

    public Task QueueMessageBatchAsync<T>(
        StreamId streamId, IEnumerable<T> events, StreamSequenceToken? token, Dictionary<string, object>? requestContext) =>
        throw new NotSupportedException("The streams of the journal carry what is appended to the journal.");

    private JournalTailer Tailer => tailer ?? throw new InvalidOperationException("A client of the cluster has no queues.");
}

/// <summary>
/// How long an agent waits before it tries again. Orleans' own begin with seconds, and what fails here mostly works a moment later.
/// </summary>
internal sealed class JournalBackOff : IMessageDeliveryBackoffProvider, IQueueReaderBackoffProvider
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(100);
    private const int Doublings = 6;

    public TimeSpan Next(int attempt) => First * (1 << Math.Clamp(attempt, 0, Doublings));
}
