using System.Diagnostics.Metrics;
using System.Globalization;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// Follows the journal for all of a process: one connection, which listens, reads what is new in order, and looks for itself now and then.
/// It begins when someone first asks for something, and reads what someone follows. Members may be called from any thread.
/// </summary>
public sealed class JournalTailer : IAsyncDisposable
{
    private static readonly TimeSpan FirstBackOff = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestBackOff = TimeSpan.FromSeconds(1);

    private readonly PostgresJournalOptions _journal;
    private readonly JournalStreamOptions _options;
    private readonly IJournalReader _history;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly TailMetrics _metrics;
    private readonly LastKnown? _known;
    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource _standing = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Guards everything below, so that whoever joins sees a window and is told of all that follows it.
    private readonly Lock _gate = new();
    private readonly JournalWindow _window;
    private readonly int[] _followers = new int[StreamSlot.Count];
    private SlotSet _followed = new(static _ => false);
    private readonly List<Action> _watchers = [];
    private readonly List<JournalSubscription> _subscriptions = [];
    private readonly Dictionary<string, List<JournalSubscription>> _streamSubscriptions = [];
    private Task? _loop;
    private int _restored;

    // Of the loop alone.
    private long _announced;

    /// <summary>Begins when it is asked for something.</summary>
    /// <param name="journal">Where the database is.</param>
    /// <param name="options">Bounds and intervals.</param>
    /// <param name="history">Reads what is no more in memory.</param>
    /// <param name="time">The clock.</param>
    /// <param name="log">Told of what goes wrong.</param>
    /// <param name="meters">Makes the meter.</param>
    public JournalTailer(
        PostgresJournalOptions journal, JournalStreamOptions options, IJournalReader history, TimeProvider time,
        ILogger<JournalTailer> log, IMeterFactory? meters = null)
    {
        (_journal, _options, _history, _time, _log, _known) =
            (journal, options, history, time, log, (history as PostgresJournal)?.Known);
        _window = new(options.WindowEvents, options.WindowBytes);
        _metrics = new(meters, CountSubscriptions);
    }

    /// <summary>The last position that it has seen; 0 before it has begun.</summary>
    public Position Position
    {
        get
        {
            lock (_gate)
                return _window.High;
        }
    }

    /// <summary>How often the journal was restored to an earlier state while this process followed it.</summary>
    internal int Restored => Volatile.Read(ref _restored);

    /// <summary>Follows the journal from after a position: first what is there, then what comes, without a gap or a repeat.</summary>
    /// <param name="after">Exclusive; 0 is the beginning.</param>
    /// <param name="streamId">The one stream that is followed; null for all.</param>
    /// <param name="capacity">
    /// How many events, once it has caught up, may wait for this subscriber; one that is slower is ended, and may subscribe again from
    /// where it stands.
    /// </param>
    /// <param name="cancellation">Of the call only.</param>
    /// <exception cref="PositionBeyondHeadException">There is no such position yet, or no more.</exception>
    /// <exception cref="JournalUnavailableException">The journal cannot be read at present.</exception>
    public async Task<JournalSubscription> SubscribeAsync(
        Position after, string? streamId = null, int capacity = 4_096, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(after.Value);
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        await StandAsync(cancellation).ConfigureAwait(false);
        if (after > Position && await _history.ReadHeadAsync(cancellation).ConfigureAwait(false) is var head && after > head)
            throw new PositionBeyondHeadException(after, head);
        return new(this, after, streamId, capacity);
    }

    /// <summary>Ends every subscription and closes the connection.</summary>
    public async ValueTask DisposeAsync()
    {
        Task? loop;
        lock (_gate)
        {
            _stopping.Cancel();
            (loop, _loop) = (_loop, Task.CompletedTask);
        }

        if (loop is not null)
            await loop;
        EndAll(SubscriptionEnd.Stopping);
        _standing.TrySetCanceled();
        _metrics.Dispose();
    }

    /// <summary>Begins, and waits until it stands at the head.</summary>
    internal Task StandAsync(CancellationToken cancellation)
    {
        lock (_gate)
            _loop ??= RunAsync();
        return _standing.Task.WaitAsync(cancellation);
    }

    /// <summary>Has a callback called, from any thread, whenever there is something new, and now and then when there is not.</summary>
    internal void Watch(Action watcher)
    {
        lock (_gate)
            _watchers.Add(watcher);
    }

    /// <summary>Ends what <see cref="Watch"/> began.</summary>
    internal void Unwatch(Action watcher)
    {
        lock (_gate)
            _watchers.Remove(watcher);
    }

    /// <summary>Has memory hold what a partition will have from now on.</summary>
    internal void Follow(Partition partition) => Follow(partition, 1);

    /// <summary>Ends what <see cref="Follow(Partition)"/> began.</summary>
    internal void Unfollow(Partition partition) => Follow(partition, -1);

    /// <summary>What a partition has after a position, where memory has it; null where it must be read.</summary>
    internal JournalInterval? Read(Partition partition, Position after, int limit)
    {
        lock (_gate)
            return _window.Read(partition, after, limit);
    }

    /// <summary>A page of what is before the window, or of the window.</summary>
    internal Task<JournalInterval> ReadHistoryAsync(Partition partition, Position after, CancellationToken cancellation) =>
        _history.ReadIntervalAsync(partition, after, _options.BatchEvents, cancellation);

    /// <summary>All that a subscription is sent: history, then what comes.</summary>
    internal async IAsyncEnumerable<IReadOnlyList<RecordedEvent>> FollowAsync(
        JournalSubscription subscription,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation)
    {
        var after = subscription.After;
        var version = 0L;
        while (!Join(subscription, after, out var events))
        {
            if (events is not null)
            {
                // Of the window, which is read without the database, but more than the subscription may have waiting for it.
                after = events.To;
            }
            else
            {
                var seen = Position;
                var page = subscription.StreamId is not { } stream
                    ? await _history.ReadAllAsync(new(after.Value + 1), _options.BatchEvents, cancellation)
                    : version == 0
                        ? await _history.ReadStreamAfterAsync(stream, after, _options.BatchEvents, cancellation)
                        : await _history.ReadStreamAsync(stream, version + 1, _options.BatchEvents, cancellation);
                if (page.Count > 0)
                    (after, version) = (page[^1].Position, page[^1].Version);
                // There is no more of it up to where the tailer stood before the page was read.
                if (page.Count < _options.BatchEvents && seen > after)
                    after = seen;
                events = new(Partition.Whole, after, after, page);
            }

            if (events.Events.Count > 0)
                yield return events.Events;
        }
    }

    /// <summary>No more of it.</summary>
    internal void Leave(JournalSubscription subscription)
    {
        lock (_gate)
        {
            if (subscription.StreamId is not { } stream)
                _subscriptions.Remove(subscription);
            else if (_streamSubscriptions.TryGetValue(stream, out var same) && same.Remove(subscription) && same.Count == 0)
                _streamSubscriptions.Remove(stream);
        }

        Unfollow(subscription.Partition);
    }

    private void Follow(Partition partition, int more)
    {
        lock (_gate)
        {
            for (var slot = partition.FirstSlot; slot <= partition.LastSlot; slot++)
                _followers[slot] += more;
            _followed = new(slot => _followers[slot] > 0);
        }
    }

    private async Task RunAsync()
    {
        // Away from whoever asked first: the loop belongs to no grain.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        await using var database = JournalDatabase.BuildTail(_journal);
        var backOff = FirstBackOff;
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                await using var connection = await database.OpenConnectionAsync(_stopping.Token);
                await using var query = new NpgsqlCommand { Connection = connection };
                var pages = new PageQuery(query);
                connection.Notification += (_, e) => _announced =
                    long.TryParse(e.Payload, NumberStyles.None, CultureInfo.InvariantCulture, out var position) ? position : long.MaxValue;
                await BeginAsync(connection);
                while (true)
                {
                    await ReadNewAsync(pages);
                    backOff = FirstBackOff;
                    // Word that came while a page was read has been taken off the wire, and nothing would end the wait for it.
                    _metrics.Woken(_announced > Position.Value || await connection.WaitAsync(_options.PollInterval, _stopping.Token));
                }
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
            }
            catch (Exception e)
            {
                Log.TailLost(_log, backOff, e);
                _metrics.Lost();
                Tell();
                await Task.Delay(backOff, _time, _stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                backOff = backOff * 2 < LongestBackOff ? backOff * 2 : LongestBackOff;
            }
        }
    }

    // Listens first, and then looks where the journal stands: what is committed in between is announced.
    private async Task BeginAsync(NpgsqlConnection connection)
    {
        await using (var listen = new NpgsqlCommand("LISTEN journal", connection))
            await listen.ExecuteNonQueryAsync(_stopping.Token);

        var position = Position;
        await using var look = new NpgsqlCommand(
            "SELECT h.position, (SELECT e.event_id FROM journal.events e WHERE e.position = $1) FROM journal.head h", connection)
        {
            Parameters = { new NpgsqlParameter<long> { TypedValue = position.Value } },
        };
        await using var reader = await look.ExecuteReaderAsync(_stopping.Token);
        await reader.ReadAsync(_stopping.Token);
        var head = new Position(reader.GetInt64(0));
        Guid? last = reader.IsDBNull(1) ? null : reader.GetGuid(1);
        if (!_standing.Task.IsCompleted)
        {
            lock (_gate)
                _window.Reset(head);
            _standing.TrySetResult();
            return;
        }

        // No connection outlives a restore, so this is the place to notice one. The journal may have grown again beyond this position: then
        // another event lies there.
        RecordedEvent? known;
        lock (_gate)
            known = _window.At(position);
        if (head < position || known is not null && last is not null && last != known.EventId)
            Restart(position, head);
    }

    private async Task ReadNewAsync(PageQuery pages)
    {
        JournalPage page;
        bool added;
        do
        {
            SlotSet slots;
            _announced = 0;
            lock (_gate)
                slots = _followed;
            page = await pages.ReadAsync(slots, Position, _options.BatchEvents, _stopping.Token);
            added = TryAdd(page, slots);
            _metrics.Read(page.Events.Count);
            Tell();
        }
        while (!added || page.To < page.Head);
    }

    // False where somebody has begun to follow what was not read: it is to be read again, or there would be a gap.
    private bool TryAdd(JournalPage page, SlotSet slots)
    {
        if (page.Events is [.., { Event: var last }])
            _known?.Note(last.Position, last.EventId);
        lock (_gate)
        {
            if (!slots.Contains(_followed))
                return false;
            if (page.To <= page.From)
                return true;
            _window.Add(page, slots);
            if (_subscriptions.Count > 0 && page.Events.Count > 0)
            {
                RecordedEvent[] events = [.. page.Events.Select(e => e.Event)];
                foreach (var subscription in _subscriptions)
                    subscription.Offer(events);
            }

            if (_streamSubscriptions.Count == 0)
                return true;
            foreach (var stream in page.Events.Select(e => e.Event).GroupBy(e => e.StreamId))
            {
                if (!_streamSubscriptions.TryGetValue(stream.Key, out var subscriptions))
                    continue;
                RecordedEvent[] events = [.. stream];
                foreach (var subscription in subscriptions)
                    subscription.Offer(events);
            }

            return true;
        }
    }

    private void Tell()
    {
        lock (_gate)
        {
            foreach (var watcher in _watchers)
                watcher();
        }
    }

    private void Restart(Position position, Position head)
    {
        Log.TailRestored(_log, position.Value, head.Value);
        _known?.Lose();
        lock (_gate)
        {
            _window.Reset(head);
            _restored++;
        }

        EndAll(SubscriptionEnd.Restored);
    }

    private void EndAll(SubscriptionEnd end)
    {
        List<JournalSubscription> ended;
        lock (_gate)
            ended = [.. _subscriptions, .. _streamSubscriptions.Values.SelectMany(s => s)];
        foreach (var subscription in ended)
            subscription.EndWith(end);
    }

    /// <summary>One was ended.</summary>
    internal void Count(SubscriptionEnd end) => _metrics.Ended(end);

    private int CountSubscriptions()
    {
        lock (_gate)
            return _subscriptions.Count + _streamSubscriptions.Values.Sum(same => same.Count);
    }

    // Either the subscription is told of everything after the window's end, and what the window has for it waits already; or it is not, and
    // what is returned is to be sent first: null where it is older than the window.
    private bool Join(JournalSubscription subscription, Position after, out JournalInterval? next)
    {
        lock (_gate)
        {
            if (_stopping.IsCancellationRequested)
                subscription.EndWith(SubscriptionEnd.Stopping);
            // It was still in history then.
            else if (subscription.Restored != _restored)
                subscription.EndWith(SubscriptionEnd.Restored);
            next = _window.Read(subscription.Partition, after, Math.Min(subscription.Capacity, _options.BatchEvents));
            if (next is null)
                return false;
            if (subscription.StreamId is { } stream)
                next = next with { Events = [.. next.Events.Where(e => e.StreamId == stream)] };
            if (next.To < _window.High)
                return false;

            if (next.Events.Count > 0)
                subscription.Offer(next.Events);
            if (subscription.StreamId is null)
                _subscriptions.Add(subscription);
            else if (_streamSubscriptions.TryGetValue(subscription.StreamId, out var same))
                same.Add(subscription);
            else
                _streamSubscriptions.Add(subscription.StreamId, [subscription]);
            return true;
        }
    }
}
