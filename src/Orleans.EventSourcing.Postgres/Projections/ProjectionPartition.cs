using Microsoft.Extensions.Logging;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// One partition of one projection: keeps the tables that serve live, and beside them fills those that are to serve next. Intervals may be
/// offered in any order, twice, or not at all: the stream is transport, the table is truth. Members may be called from any thread, and
/// return at once, except where they wait for what they are named after.
/// </summary>
public sealed class ProjectionPartition : IAsyncDisposable
{
    private static readonly TimeSpan SwapInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan WakeInterval = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(10);

    private readonly ProjectionRuntime _runtime;
    private readonly Projection _projection;
    private readonly Func<Task>? _wakeOthers;
    private readonly CancellationTokenSource _stop = new();
    private readonly Signal _signal;
    private readonly Lock _gate = new();
    private readonly Dictionary<int, ProjectionTrack> _tracks = [];
    private readonly List<Task> _ending = [];
    private readonly Task _worker;
    private JournalInterval? _last;
    private bool _disposed;

    internal ProjectionPartition(ProjectionRuntime runtime, Projection projection, Partition partition, Func<Task>? wakeOthers)
    {
        (_runtime, _projection, Partition, _wakeOthers) = (runtime, projection, partition, wakeOthers);
        _signal = new(runtime.Time);
        _worker = RunAsync(_stop.Token);
    }

    /// <summary>Which one it is.</summary>
    public Partition Partition { get; }

    /// <summary>Name of the projection.</summary>
    public string Projection => _projection.Name;

    /// <summary>How the partition of the serving tables stands; null before its first look at the database.</summary>
    public PartitionProgress? Serving => Track(serving: true)?.Progress;

    /// <summary>How the partition of the tables that are being filled stands; null where none are.</summary>
    public PartitionProgress? Building => Track(serving: false)?.Progress;

    /// <summary>Takes a delivered interval.</summary>
    public void Offer(JournalInterval interval)
    {
        List<ProjectionTrack> tracks;
        lock (_gate)
        {
            _last = interval;
            tracks = [.. _tracks.Values];
        }

        foreach (var track in tracks)
            track.Offer(interval);
    }

    /// <summary>Looks again at what the database says of it: a rebuild has begun or ended, or an operator has acted.</summary>
    public void Refresh()
    {
        List<ProjectionTrack> tracks;
        lock (_gate)
        {
            tracks = [.. _tracks.Values];
        }

        _signal.Set();
        foreach (var track in tracks)
            track.Reload();
    }

    /// <summary>Waits until the serving tables hold everything up to a position.</summary>
    /// <returns>
    /// Up to where they do, at least the position asked for; null where they do not in that time, and at once where the partition is paused
    /// or parked before it.
    /// </returns>
    public async Task<Position?> ReachedAsync(Position position, TimeSpan within)
    {
        var began = _runtime.Time.GetTimestamp();
        while (true)
        {
            var left = within - _runtime.Time.GetElapsedTime(began);
            if (left <= TimeSpan.Zero)
                return null;
            if (Track(serving: true) is { } track)
            {
                var (state, at) = await track.ReachedAsync(position, left).ConfigureAwait(false);
                if (state != PartitionState.Gone && at >= position)
                    return at;
                if (state is PartitionState.Paused or PartitionState.Parked)
                    return null;
                if (state == PartitionState.Gone)
                    Refresh();
            }

            // Not begun yet, begun anew, or others serve from now on: the worker finds out.
            await Task.Delay(Soon, _runtime.Time).ConfigureAwait(false);
        }
    }

    /// <summary>Ends the work under way. What was not committed was not done.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, true))
            return;
        _runtime.Closed(this);
        await _stop.CancelAsync().ConfigureAwait(false);
        await _worker.ConfigureAwait(false);
        await Task.WhenAll(_tracks.Values.Select(t => t.Completion).Concat(_ending)).ConfigureAwait(false);
        _stop.Dispose();
    }

    private ProjectionTrack? Track(bool serving)
    {
        lock (_gate)
            return _tracks.Values.FirstOrDefault(t => t.Generation.Serving == serving);
    }

    private async Task RunAsync(CancellationToken stop)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        var failures = 0;
        var woken = _runtime.Time.GetTimestamp();
        while (!stop.IsCancellationRequested)
        {
            var patience = Timeout.InfiniteTimeSpan;
            try
            {
                var filling = await FollowGenerationsAsync(stop).ConfigureAwait(false);
                // One partition of each projection looks after the swap, and after the others' knowing of the rebuild.
                if (filling && Partition.Number == 0)
                {
                    patience = SwapInterval;
                    var swapped = await _runtime.Store.TrySwapAsync(_projection.Name, stop).ConfigureAwait(false) == SwapResult.Swapped;
                    if (swapped)
                        Log.ProjectionSwapped(_runtime.Logger, _projection.Name);
                    if (swapped || _runtime.Time.GetElapsedTime(woken) > WakeInterval)
                    {
                        woken = _runtime.Time.GetTimestamp();
                        await (_wakeOthers?.Invoke() ?? Task.CompletedTask).ConfigureAwait(false);
                    }

                    if (swapped)
                        continue;
                }

                failures = 0;
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                Log.ProjectionRetries(_runtime.Logger, _projection.Name, Partition.Number, e);
                patience = _runtime.Backoff(failures++);
            }

            try
            {
                await _signal.WaitAsync(patience, stop).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    // Begins to follow the generations that are there, and forgets those that are gone; true while one is being filled.
    private async Task<bool> FollowGenerationsAsync(CancellationToken stop)
    {
        var generations = await _runtime.Store.GenerationsAsync(_projection.Name, stop).ConfigureAwait(false);
        lock (_gate)
        {
            foreach (var generation in generations)
            {
                if (_tracks.TryGetValue(generation.Number, out var known))
                {
                    known.Generation = generation;
                }
                else if (CodeOf(generation) is { } projection)
                {
                    var track = new ProjectionTrack(_runtime, projection, generation, Partition, stop);
                    if (_last is not null)
                        track.Offer(_last);
                    _tracks.Add(generation.Number, track);
                }
            }

            foreach (var gone in _tracks.Keys.Except(generations.Select(g => g.Number)).ToList())
            {
                // It finds its row gone, and ends.
                _tracks[gone].Reload();
                _ending.Add(_tracks[gone].Completion);
                _tracks.Remove(gone);
            }

            _ending.RemoveAll(e => e.IsCompleted);
        }

        return generations.Any(g => !g.Serving);
    }

    // Tables are filled by the code of their fold version, in the number of partitions that they were begun with; others stand still.
    private Projection? CodeOf(Generation generation)
    {
        if (generation.Partitions != Partition.Count)
            return null;
        for (var code = _projection; code is not null; code = code.Predecessor)
        {
            if (code.FoldVersion == generation.FoldVersion)
                return code;
        }

        return null;
    }
}
