using Microsoft.Extensions.Logging;
using Orleans.Streams;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// Where a subscriber stands. Called by the agent, one call at a time, save for what a read brings. It never throws: an agent that gets an
/// exception here looks for the subscriber's place anew, and may step over events.
/// </summary>
internal sealed class JournalCursor : IQueueCacheCursor
{
    private static readonly TimeSpan FirstBackOff = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestBackOff = TimeSpan.FromSeconds(5);

    private readonly JournalQueue _queue;
    private readonly JournalTailer _tailer;
    private readonly JournalStreamOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly CancellationTokenSource _disposed = new();
    private Position _after;
    private int _index;
    private int _restored;
    private JournalBatch? _current;
    private long? _movedAt;
    private bool _again;

    // The page that is being read, or waits to be taken.
    private bool _reading;
    private JournalInterval? _page;

    public JournalCursor(
        JournalQueue queue, StreamSequenceToken token, JournalTailer tailer, JournalStreamOptions options, TimeProvider time, ILogger log)
    {
        (_queue, _tailer, _options, _time, _log) = (queue, tailer, options, time, log);
        _after = JournalStreams.After(token);
        _index = Math.Max(1, token.EventIndex);
        _restored = tailer.Restored;
        tailer.Follow(queue.Partition);
    }

    public IBatchContainer? GetCurrent(out Exception? exception)
    {
        exception = null;
        return _current;
    }

    public bool MoveNext()
    {
        // What could not be delivered is delivered again, for as long as it takes. The agent would go on with the next.
        if (_again)
        {
            _again = false;
            return true;
        }

        if (Next() is not { } interval)
            return false;
        // An empty interval ends where it begins: its token must be another than that of the container before, or it is taken for that.
        _index = interval.To > _after ? 1 : _index + 1;
        _after = interval.To;
        _movedAt = _time.GetTimestamp();
        _current = new(_queue.StreamId, interval with { Sender = _queue.Silo }, _index);
        return true;
    }

    public void Refresh(StreamSequenceToken token)
    {
    }

    public void RecordDeliveryFailure() => _again = _current is not null;

    public void Dispose()
    {
        if (_disposed.IsCancellationRequested)
            return;
        _disposed.Cancel();
        _tailer.Unfollow(_queue.Partition);
    }

    private JournalInterval? Next()
    {
        if (_tailer.Restored is var restored && restored != _restored)
        {
            _restored = restored;
            if (_tailer.Position is var head && _after > head)
                _after = head;
        }

        if (_tailer.Read(_queue.Partition, _after, _options.BatchEvents) is { } interval)
        {
            // Where nothing is new, the subscriber is told where it stands, at first and then now and then; not where there is nothing yet.
            var due = _movedAt is not { } moved || _time.GetElapsedTime(moved) >= _options.EmptyIntervalAfter;
            return interval.To > _after || due && _after <= _tailer.Position ? interval : null;
        }

        // Older than the window: the agent's turn ends here, and when the page has been read it is woken.
        var page = Interlocked.Exchange(ref _page, null);
        if (page?.From == _after)
        {
            // The next one while the subscriber has this one.
            Read(page.To);
            return page;
        }

        Read(_after);
        return null;
    }

    private void Read(Position after)
    {
        if (Volatile.Read(ref _reading))
            return;
        Volatile.Write(ref _reading, true);
        _ = ReadAsync(after, _disposed.Token);
    }

    private async Task ReadAsync(Position after, CancellationToken cancellation)
    {
        // Away from the agent, which has others to see to.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        var backOff = FirstBackOff;
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                var page = await _tailer.ReadHistoryAsync(_queue.Partition, after, cancellation).ConfigureAwait(false);
                // Nothing: where the window was reached meanwhile, or where the journal was restored. The agent looks again in due course.
                Volatile.Write(ref _page, page.To > after ? page : null);
                Volatile.Write(ref _reading, false);
                if (page.To > after)
                    _queue.WakeAgent();
                return;
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
            }
            catch (Exception e)
            {
                Log.StreamUnread(_log, _queue.StreamId, after.Value, backOff, e);
                await Task.Delay(backOff, _time, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                backOff = backOff * 2 < LongestBackOff ? backOff * 2 : LongestBackOff;
            }
        }
    }
}
