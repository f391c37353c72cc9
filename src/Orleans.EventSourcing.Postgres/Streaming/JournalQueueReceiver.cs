using Orleans.Streams;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// Tells a pulling agent when to look at its subscribers; they find their events themselves, see <see cref="JournalQueueCache"/>. So what
/// it returns is empty, and nothing that happens to the database comes through here as an exception.
/// </summary>
internal sealed class JournalQueueReceiver(JournalQueue queue, JournalTailer tailer, JournalStreamOptions options, TimeProvider time)
    : IQueueAdapterReceiver
{
    private ITimer? _timer;
    private Position? _told;
    private long _toldAt;

    public Task Initialize(TimeSpan timeout)
    {
        _timer = time.CreateTimer(
            static queue => ((JournalQueue)queue!).Wake(), queue, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        tailer.Watch(queue.Wake);
        return Task.CompletedTask;
    }

    public Task<IList<IBatchContainer>> GetQueueMessagesAsync(int maxCount) => GetQueueMessagesAsync(maxCount, CancellationToken.None);

    /// <summary>
    /// Waits until there is something new, or until the tailer has looked in vain: then the agent learns nothing, save that the stream is
    /// alive, and does what it has to do now and then. To return nothing at all would cost it its timer's period each time.
    /// </summary>
    public async Task<IList<IBatchContainer>> GetQueueMessagesAsync(int maxCount, CancellationToken cancellationToken)
    {
        try
        {
            if (_told is not { } told)
            {
                await tailer.StandAsync(cancellationToken).ConfigureAwait(false);
                // The first container registers the stream with its subscribers, whoever they are: none is called before.
                return Tell(tailer.Position, tailer.Position);
            }

            while (true)
            {
                var wanted = await queue.WaitAsync(cancellationToken).ConfigureAwait(false);
                var interval = tailer.Read(queue.Partition, told, 1);
                if (wanted || interval is null or { Events.Count: > 0 } || interval.To == told)
                    return Tell(told, tailer.Position);
                // Events of others: the partition is told at once, or a little later if it was just told something.
                var early = options.EmptyIntervalEvery - time.GetElapsedTime(_toldAt);
                if (early <= TimeSpan.Zero)
                    return Tell(told, tailer.Position);
                _timer!.Change(early, Timeout.InfiniteTimeSpan);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return [];
        }
    }

    public Task MessagesDeliveredAsync(IList<IBatchContainer> messages) => Task.CompletedTask;

    public Task Shutdown(TimeSpan timeout)
    {
        tailer.Unwatch(queue.Wake);
        _timer?.Dispose();
        return Task.CompletedTask;
    }

    // The token says where the agent was told to be before: a subscriber that is found only now begins there.
    private IList<IBatchContainer> Tell(Position from, Position to)
    {
        (_told, _toldAt) = (to, time.GetTimestamp());
        return [new JournalBatch(queue.StreamId, new(queue.Partition, from, from, []), 1)];
    }
}
