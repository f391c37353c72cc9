using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Orleans.EventSourcing.Postgres;

/// <summary>How a partition stood when a wait for it ended.</summary>
internal readonly record struct Reached(PartitionState State, Position Position);

/// <summary>
/// One partition of one generation of a projection: follows the journal, from delivered intervals where they follow on, from the table
/// where they do not. A worker of its own does all that takes time; everything else returns at once, from any thread.
/// </summary>
internal sealed class ProjectionTrack
{
    // However long a commit took: it may have waited for what is over.
    private static readonly TimeSpan LongestGathering = TimeSpan.FromMilliseconds(250);

    private readonly ProjectionRuntime _runtime;
    private readonly Projection _projection;
    private readonly Partition _partition;
    private readonly Signal _signal;
    private readonly Lock _gate = new();
    private readonly Queue<JournalInterval> _offered = [];
    private readonly List<(Position Position, TaskCompletionSource<Reached> Reached)> _waiting = [];
    private readonly ITimer _gathered;
    private readonly Task _worker;

    // Only the worker touches these.
    private Position _durable;
    private long _committed;
    private TimeSpan _took;

    // Under the gate.
    private PartitionState _state = PartitionState.Starting;
    private Position _handled;
    private Position _known;
    private int _offeredEvents;
    private bool _gathering;
    private bool _reload = true;
    private bool _doubted;
    private Position? _parked;
    private string? _reason;
    private DateTimeOffset _behindSince;

    public ProjectionTrack(
        ProjectionRuntime runtime, Projection projection, Generation generation, Partition partition, CancellationToken stop)
    {
        (_runtime, _projection, Generation, _partition) = (runtime, projection, generation, partition);
        _signal = new(runtime.Time);
        _gathered = runtime.Time.CreateTimer(
            static signal => ((Signal)signal!).Set(), _signal, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _worker = RunAsync(stop);
    }

    /// <summary>What it fills; the same generation may begin to serve.</summary>
    public Generation Generation { get; set; }

    /// <summary>Ends when the track was stopped, or its generation is gone.</summary>
    public Task Completion => _worker;

    /// <summary>What can be told of it without asking the database.</summary>
    public PartitionProgress Progress
    {
        get
        {
            lock (_gate)
            {
                var behind = _known > _handled ? _runtime.Time.GetUtcNow() - _behindSince : TimeSpan.Zero;
                // What was recorded by a clock that is ahead of this one is no less than new.
                behind = behind > TimeSpan.Zero ? behind : TimeSpan.Zero;
                return new(_state, _handled, _known > _handled ? _known.Value - _handled.Value : 0, behind, _parked, _reason);
            }
        }
    }

    /// <summary>Takes an interval, or only its end where too much waits already: the table has its events.</summary>
    public void Offer(JournalInterval interval)
    {
        lock (_gate)
        {
            Know(interval.To);
            if (interval.To <= _handled)
            {
                // Delivered again, or the journal has lost what was handled.
                _doubted |= interval.To < _handled;
            }
            else if (interval.Partition != _partition)
            {
                // From a silo that is set to another number of partitions. What of it is this one's lies in the table.
            }
            else if (_offeredEvents + interval.Events.Count > _runtime.Options.QueueEvents || _offered.Count > _runtime.Options.QueueEvents)
            {
                _offered.Clear();
                _offeredEvents = 0;
            }
            else
            {
                _offered.Enqueue(interval);
                _offeredEvents += interval.Events.Count;
            }

            if (_gathering && _offeredEvents < _runtime.Options.BatchEvents)
                return;
        }

        _signal.Set();
    }

    /// <summary>Looks at its row again: somebody has changed it.</summary>
    public void Reload()
    {
        lock (_gate)
        {
            _reload = true;
            // Whoever asks from now on waits for what the row says, so that an act of an operator has an effect when it returns.
            if (_state != PartitionState.Gone)
                _state = PartitionState.Starting;
        }

        _signal.Set();
    }

    /// <summary>
    /// Waits until everything up to a position is handled, or the partition stands still. Whoever asks has seen the position, so it can be
    /// read even where its delivery was lost.
    /// </summary>
    public async Task<Reached> ReachedAsync(Position position, TimeSpan within)
    {
        var reached = new TaskCompletionSource<Reached>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            if (_handled >= position || _state is not (PartitionState.Starting or PartitionState.Running))
                return new(_state, _handled);
            Know(position);
            _waiting.Add((position, reached));
        }

        _signal.Set();
        try
        {
            return await reached.Task.WaitAsync(within, _runtime.Time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            lock (_gate)
            {
                _waiting.RemoveAll(w => w.Reached == reached);
                return new(_state, _handled);
            }
        }
    }

    private async Task RunAsync(CancellationToken stop)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        await using var gathered = _gathered;
        var failures = 0;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                if (!await StepAsync(stop).ConfigureAwait(false))
                    return;
                failures = 0;
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (PostgresException e) when (e.SqlState == ProjectionStore.Fenced)
            {
                Log.ProjectionFenced(_runtime.Logger, _projection.Name, _partition.Number, e.MessageText);
                lock (_gate)
                    _reload = true;
            }
            catch (Exception e)
            {
                // Whatever is not held against an event is the database's or the network's, or passes for it: the work is repeated from the
                // checkpoint, as long as it takes.
                Log.ProjectionRetries(_runtime.Logger, _projection.Name, _partition.Number, e);
                lock (_gate)
                    _reload = true;
                try
                {
                    await Task.Delay(_runtime.Backoff(failures++), _runtime.Time, stop).ConfigureAwait(false);
                }
                catch (OperationCanceledException)
                {
                    return;
                }
            }
        }
    }

    // One step of the worker; false once there is nothing to follow any more.
    private async Task<bool> StepAsync(CancellationToken stop)
    {
        bool reload, doubted, running;
        lock (_gate)
        {
            (reload, _reload) = (_reload, false);
            (doubted, _doubted) = (_doubted, false);
            running = _state == PartitionState.Running;
        }

        if (reload || (doubted && running))
            return await LoadAsync(stop).ConfigureAwait(false);
        if (!running)
        {
            await _signal.WaitAsync(Timeout.InfiniteTimeSpan, stop).ConfigureAwait(false);
            return true;
        }

        if (Gathers())
        {
            await _signal.WaitAsync(Timeout.InfiniteTimeSpan, stop).ConfigureAwait(false);
            lock (_gate)
                _gathering = false;
            return true;
        }

        if (await NextAsync(stop).ConfigureAwait(false) is { } next)
        {
            await ApplyAsync(next.Events, next.To, stop).ConfigureAwait(false);
            return true;
        }

        var dirty = _handled > _durable;
        if (!await _signal.WaitAsync(dirty ? _runtime.Options.FlushAfter : Timeout.InfiniteTimeSpan, stop).ConfigureAwait(false))
            await FlushAsync(stop).ConfigureAwait(false);
        return true;
    }

    // A transaction with one event costs nearly as much as one with hundreds. So what was delivered soon after a commit waits for more,
    // save where a batch is full or somebody waits for it, and longer where a commit takes long: a database that is busy is asked less
    // often. What comes after a silence is written at once. Until the timer rings, word of more is no reason to wake up.
    private bool Gathers()
    {
        var least = _runtime.Options.GatherFor;
        var left = (_took < least ? least : _took < LongestGathering ? _took : LongestGathering)
            - _runtime.Time.GetElapsedTime(_committed);
        if (left <= TimeSpan.Zero)
            return false;
        lock (_gate)
        {
            if (_waiting.Count > 0 || _offeredEvents == 0 || _offeredEvents >= _runtime.Options.BatchEvents
                || _offered.Peek().From > _handled)
                return false;
            _gathering = true;
        }

        _gathered.Change(left, Timeout.InfiniteTimeSpan);
        return true;
    }

    private async Task<bool> LoadAsync(CancellationToken stop)
    {
        var found = await _runtime.Store.LoadAsync(_projection.Name, Generation.Number, _partition, stop).ConfigureAwait(false);
        if (found is not { } checkpoint)
        {
            Stand(PartitionState.Gone, null, null);
            return false;
        }

        if (checkpoint.IsOfAnotherJournal)
            _runtime.Pages.Forget();
        if (checkpoint is { IsOfAnotherJournal: true, Parked: null, Paused: false })
        {
            await ParkAsync(checkpoint.Position, "the journal was restored", checkpoint.Position, stop).ConfigureAwait(false);
            return true;
        }

        lock (_gate)
        {
            // It may be of a journal that was restored since.
            _offered.Clear();
            _offeredEvents = 0;
            // What was handled in memory only stays so, unless the checkpoint is elsewhere or the journal has lost it.
            var moved = checkpoint.Position > _handled || checkpoint.Position < _durable || checkpoint.Head < _handled;
            if (moved)
                _handled = checkpoint.Position;
            Know(checkpoint.Head);
            // It may have been behind before this process began to look.
            if (moved && checkpoint.Next is { } next)
                _behindSince = next;
        }

        _durable = checkpoint.Position;

        Stand(
            checkpoint.Paused ? PartitionState.Paused : checkpoint.Parked is null ? PartitionState.Running : PartitionState.Parked,
            checkpoint.Parked,
            checkpoint.Reason);
        return true;
    }

    // What follows on from where the track stands: delivered intervals, as many as go into one transaction, else a page of the table.
    private async Task<JournalInterval?> NextAsync(CancellationToken stop)
    {
        Position from, known;
        lock (_gate)
        {
            if (TakeOffered() is { } offered)
                return offered;
            (from, known) = (_handled, _known);
            if (known <= from)
                return null;
        }

        var (page, head) = await _runtime.Pages.ReadAsync(from, _partition, known, stop).ConfigureAwait(false);
        lock (_gate)
        {
            // Somebody knew of positions that the journal does not have.
            if (page.To >= head && _known == known)
                _known = head;
            if (head < from)
                _doubted = true;
        }

        return page.To > from ? After(page, from) : null;
    }

    private JournalInterval? TakeOffered()
    {
        JournalInterval? taken = null;
        var events = new List<RecordedEvent>();
        while (_offered.TryPeek(out var next))
        {
            var at = taken?.To ?? _handled;
            if (next.From > at || (taken is not null && events.Count + next.Events.Count > _runtime.Options.BatchEvents))
                break;
            _offered.Dequeue();
            _offeredEvents -= next.Events.Count;
            if (next.To <= at)
                continue;
            events.AddRange(After(next, at).Events);
            taken = new(_partition, _handled, next.To, events);
        }

        // What is left does not follow on: the table is read up to where it does, or beyond it.
        return taken;
    }

    private static JournalInterval After(JournalInterval interval, Position from) => interval.From >= from
        ? interval
        : new(interval.Partition, from, interval.To, [.. interval.Events.SkipWhile(e => e.Position <= from)]);

    private async Task ApplyAsync(IReadOnlyList<RecordedEvent> all, Position to, CancellationToken stop)
    {
        var events = all.Where(e => _projection.EventTypes.Contains(e.EventType)).ToList();
        if (events.Count == 0)
        {
            Handled(to, all);
            // New tables wait to be swapped, which asks for their checkpoints.
            if (!Generation.Serving || _runtime.Time.GetElapsedTime(_committed) > _runtime.Options.FlushAfter)
                await FlushAsync(stop).ConfigureAwait(false);
            return;
        }

        await WriteAsync(events, to, stop).ConfigureAwait(false);
    }

    // Halves what fails for its data's sake until the event that is to blame stands alone.
    private async Task WriteAsync(List<RecordedEvent> events, Position to, CancellationToken stop)
    {
        try
        {
            await CommitAsync(events, to, stop).ConfigureAwait(false);
            _runtime.Metrics.Applied(_projection.Name, events, Generation.Serving, _runtime.Time);
            Handled(to, events);
        }
        catch (Exception e) when (!IsOfTheDatabase(e) && e is not OperationCanceledException)
        {
            if (events.Count == 1)
            {
                var at = events[0];
                Log.ProjectionParks(_runtime.Logger, _projection.Name, _partition.Number, at.Position, at.EventType, e);
                await ParkAsync(at.Position, $"{at.EventType} at {at.Position}: {e.Message}", _durable, stop).ConfigureAwait(false);
                return;
            }

            var half = events.Count / 2;
            await WriteAsync(events[..half], events[half - 1].Position, stop).ConfigureAwait(false);
            lock (_gate)
            {
                if (_state != PartitionState.Running || _reload)
                    return;
            }

            await WriteAsync(events[half..], to, stop).ConfigureAwait(false);
        }
    }

    private Task FlushAsync(CancellationToken stop) => CommitAsync([], _handled, stop);

    // Checkpoint and rows in one round trip and one transaction (what stands before one Sync is one), the checkpoint first: whoever does
    // not hold it does not get to the rows.
    private async Task CommitAsync(List<RecordedEvent> events, Position to, CancellationToken stop)
    {
        var began = _runtime.Time.GetTimestamp();
        var writers = _runtime.WritersOf(_projection, Generation.Serving);
        await writers.WaitAsync(stop).ConfigureAwait(false);
        try
        {
            using var traced = EngineTelemetry.Follow("projection.write", events);
            traced?.SetTag("projection", _projection.Name);
            await using var connection = await _runtime.Database.OpenConnectionAsync(stop).ConfigureAwait(false);
            await using var batch = new NpgsqlBatch(connection);
            batch.BatchCommands.Add(ProjectionStore.Advance(_projection.Name, Generation.Number, _partition, _durable, to));
            if (events.Count > 0)
                _projection.Write(events, new(batch, _partition, new(Generation.Number)));
            await batch.ExecuteNonQueryAsync(stop).ConfigureAwait(false);
        }
        finally
        {
            writers.Release();
        }

        _durable = to;
        _committed = _runtime.Time.GetTimestamp();
        _took = _runtime.Time.GetElapsedTime(began, _committed);
    }

    private async Task ParkAsync(Position at, string reason, Position standing, CancellationToken stop)
    {
        // Where it was not parked after all, somebody else has moved it; either way the row says how it stands.
        if (await _runtime.Store.ParkAsync(_projection.Name, Generation.Number, _partition, standing, at, reason, stop)
            .ConfigureAwait(false))
            Log.ProjectionParked(_runtime.Logger, _projection.Name, _partition.Number, Generation.Number, reason);
        lock (_gate)
            _reload = true;
    }

    private void Handled(Position to, IReadOnlyList<RecordedEvent> events)
    {
        lock (_gate)
        {
            _handled = to;
            // What is left is no older than the last of these. Nor is it older than the moment at which the partition fell behind, which
            // counts where it has been idle since its last event.
            if (events.Count > 0 && events[^1].RecordedAt > _behindSince)
                _behindSince = events[^1].RecordedAt;
            Answer();
        }
    }

    private void Stand(PartitionState state, Position? parked, string? reason)
    {
        lock (_gate)
        {
            (_state, _parked, _reason) = (state, parked, reason);
            Answer();
        }
    }

    // Under the gate: whoever waits goes on elsewhere.
    private void Answer()
    {
        foreach (var (position, waiter) in _waiting)
        {
            if (position <= _handled || _state != PartitionState.Running)
                waiter.TrySetResult(new(_state, _handled));
        }

        _waiting.RemoveAll(w => w.Reached.Task.IsCompleted);
    }

    private void Know(Position position)
    {
        if (_known <= _handled && position > _handled)
            _behindSince = _runtime.Time.GetUtcNow();
        if (position > _known)
            _known = position;
    }

    // Connections, locks, room, the server's own state, and the fence: all but what the statements and their data are to blame for.
    private static bool IsOfTheDatabase(Exception exception) => exception switch
    {
        PostgresException e => e.IsTransient || e.SqlState == ProjectionStore.Fenced
            || e.SqlState[..2] is "08" or "25" or "40" or "53" or "55" or "57" or "58",
        NpgsqlException or TimeoutException or IOException or SocketException or ObjectDisposedException => true,
        _ => false,
    };
}
