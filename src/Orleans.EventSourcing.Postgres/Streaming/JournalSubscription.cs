using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace Orleans.EventSourcing.Postgres;

/// <summary>Why a <see cref="JournalSubscription"/> was ended.</summary>
public enum SubscriptionEnd
{
    /// <summary>More waited for the subscriber than it may have waiting.</summary>
    TooSlow,

    /// <summary>The process is stopping.</summary>
    Stopping,

    /// <summary>The journal was restored to an earlier state: positions that the subscriber knows may mean other events now.</summary>
    Restored,
}

/// <summary>A subscription was ended by the one who sends.</summary>
public sealed class SubscriptionEndedException(SubscriptionEnd end) : Exception(end switch
{
    SubscriptionEnd.TooSlow => "The subscriber is too slow. It may go on from where it stands.",
    SubscriptionEnd.Stopping => "The process is stopping. The subscriber may go on elsewhere from where it stands.",
    _ => "The journal was restored to an earlier state.",
})
{
    /// <summary>Why.</summary>
    public SubscriptionEnd End => end;
}

/// <summary>The journal has no such position: it has not come that far, or it was restored.</summary>
public sealed class PositionBeyondHeadException(Position position, Position head)
    : Exception($"The journal ends at position {head}; there is no position {position}.")
{
    /// <summary>The last position of the journal.</summary>
    public Position Head => head;
}

/// <summary>Follows the journal, or one stream of it, see <see cref="JournalTailer.SubscribeAsync"/>. For one reader, once.</summary>
public sealed class JournalSubscription : IDisposable
{
    private readonly JournalTailer _tailer;
    private readonly Channel<IReadOnlyList<RecordedEvent>> _waiting = Channel.CreateUnbounded<IReadOnlyList<RecordedEvent>>(
        new() { SingleReader = true });
    private readonly CancellationTokenSource _ended = new();
    private int _waitingEvents;
    private int _end = -1;
    private bool _left;

    internal JournalSubscription(JournalTailer tailer, Position after, string? streamId, int capacity)
    {
        (_tailer, After, StreamId, Capacity, Restored) = (tailer, after, streamId, capacity, tailer.Restored);
        Partition = streamId is null ? Partition.Whole : Partition.Of(StreamSlot.Of(streamId), StreamSlot.Count);
        tailer.Follow(Partition);
    }

    /// <summary>Where it began, exclusive.</summary>
    public Position After { get; }

    /// <summary>The one stream that is followed; null for all.</summary>
    public string? StreamId { get; }

    /// <summary>
    /// Cancelled when the subscription is ended by the one who sends: for a reader that is stuck with what it was given last.
    /// </summary>
    public CancellationToken Ended => _ended.Token;

    /// <summary>Why it was ended by the one who sends; null where it was not.</summary>
    public SubscriptionEnd? End => Volatile.Read(ref _end) is var end && end >= 0 ? (SubscriptionEnd)end : null;

    internal int Capacity { get; }

    /// <summary>The smallest one that has all that is followed.</summary>
    internal Partition Partition { get; }

    /// <summary>How often the journal had been restored when it began.</summary>
    internal int Restored { get; }

    /// <summary>The events, in order, some at a time; without end until the token is cancelled or the subscription is ended.</summary>
    /// <exception cref="SubscriptionEndedException">The subscription was ended by the one who sends.</exception>
    /// <exception cref="JournalUnavailableException">The journal's history cannot be read at present.</exception>
    public async IAsyncEnumerable<IReadOnlyList<RecordedEvent>> ReadAsync([EnumeratorCancellation] CancellationToken cancellation = default)
    {
        var sent = After;
        await foreach (var events in _tailer.FollowAsync(this, cancellation))
        {
            ThrowIfEnded();
            yield return events;
            sent = events[^1].Position;
        }

        while (await _waiting.Reader.WaitToReadAsync(cancellation))
        {
            while (_waiting.Reader.TryRead(out var events))
            {
                ThrowIfEnded();
                Interlocked.Add(ref _waitingEvents, -events.Count);
                // History is read past where the tailer stands, which then comes to what was sent already.
                if (events[0].Position <= sent)
                    events = [.. events.Where(e => e.Position > sent)];
                if (events.Count == 0)
                    continue;
                yield return events;
                sent = events[^1].Position;
            }
        }

        ThrowIfEnded();
    }

    /// <summary>Ends it from the reader's side.</summary>
    public void Dispose()
    {
        if (!Interlocked.Exchange(ref _left, true))
            _tailer.Leave(this);
        _waiting.Writer.TryComplete();
        // Not the token's source: the tailer may be ending the subscription at this moment, and it holds nothing that needs to be freed.
    }

    /// <summary>Lets events wait for the reader, unless that is too much.</summary>
    internal void Offer(IReadOnlyList<RecordedEvent> events)
    {
        // One page alone is never too much, however small the capacity: all of them come as pages.
        if (Interlocked.Add(ref _waitingEvents, events.Count) is var waiting && waiting > Capacity && waiting > events.Count)
            EndWith(SubscriptionEnd.TooSlow);
        else
            _waiting.Writer.TryWrite(events);
    }

    internal void EndWith(SubscriptionEnd end)
    {
        if (Interlocked.CompareExchange(ref _end, (int)end, -1) != -1)
            return;
        _tailer.Count(end);
        _waiting.Writer.TryComplete();
        // On another thread: the tailer is in its lock.
        _ = _ended.CancelAsync();
    }

    private void ThrowIfEnded()
    {
        if (End is { } end)
            throw new SubscriptionEndedException(end);
    }
}
