using System.Threading.Channels;
using Orleans.Runtime;
using Orleans.Streams;

namespace Orleans.EventSourcing.Postgres;

/// <summary>One stream of a provider, and the queue that carries it. What is in it lies with the tailer.</summary>
internal sealed class JournalQueue
{
    // Word that there is something to look at. One is enough, however often it comes before somebody listens.
    private readonly Channel<bool> _word = Channel.CreateBounded<bool>(new BoundedChannelOptions(1)
    {
        FullMode = BoundedChannelFullMode.DropWrite,
    });

    private int _wanted;

    /// <param name="provider">Name of the provider, and namespace of its streams.</param>
    /// <param name="partition">What the stream carries.</param>
    /// <param name="silo">This silo; null on a client.</param>
    public JournalQueue(string provider, Partition partition, SiloAddress? silo)
    {
        (Partition, Silo) = (partition, silo);
        StreamId = StreamId.Create(provider, partition.Number);
        // Spread evenly over the ring of silos.
        var part = (1L << 32) / partition.Count;
        Id = QueueId.GetQueueId(provider, (uint)partition.Number, (uint)(part * partition.Number + part / 2));
    }

    public Partition Partition { get; }

    public SiloAddress? Silo { get; }

    public StreamId StreamId { get; }

    public QueueId Id { get; }

    /// <summary>Has the agent look at its subscribers, since a page that one of them stands before was read.</summary>
    public void WakeAgent()
    {
        Volatile.Write(ref _wanted, 1);
        Wake();
    }

    /// <summary>Has the receiver look whether there is something new.</summary>
    public void Wake() => _word.Writer.TryWrite(true);

    /// <summary>Waits for either.</summary>
    /// <returns>Whether the agent shall look.</returns>
    public async ValueTask<bool> WaitAsync(CancellationToken cancellation)
    {
        await _word.Reader.ReadAsync(cancellation).ConfigureAwait(false);
        return Interlocked.Exchange(ref _wanted, 0) == 1;
    }
}
