using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Orleans.EventSourcing.Postgres;

/// <summary>What the partitions of all projections of a process share: connections, pages of the journal, bounds, instruments.</summary>
public sealed class ProjectionRuntime : IAsyncDisposable
{
    private static readonly TimeSpan FirstBackoff = TimeSpan.FromMilliseconds(50);

    private readonly ConcurrentDictionary<ProjectionPartition, byte> _open = [];
    private readonly Dictionary<string, Projection> _projections;
    private readonly Dictionary<string, SemaphoreSlim> _writers;
    private readonly SemaphoreSlim _rebuildWriters;

    /// <summary>Begins; connects when there is something to do.</summary>
    /// <param name="journal">Where the database is.</param>
    /// <param name="options">The read models, and bounds.</param>
    /// <param name="time">The clock.</param>
    /// <param name="log">Told of what goes wrong.</param>
    /// <param name="meters">Makes the meter.</param>
    public ProjectionRuntime(
        PostgresJournalOptions journal, ProjectionOptions options, TimeProvider time, ILogger<ProjectionRuntime> log,
        IMeterFactory? meters = null)
    {
        (Options, Time, Logger) = (options, time, log);
        _projections = options.Projections.ToDictionary(p => p.Name);
        _writers = options.Projections.ToDictionary(p => p.Name, _ => new SemaphoreSlim(options.Writers));
        _rebuildWriters = new(options.RebuildWriters);
        Database = JournalDatabase.BuildProjections(journal, options);
        Store = new(Database, time);
        Pages = new(Database, options.Partitions, options.PageEvents, options.SharedPages);
        Metrics = new(meters, () => _open.Keys);
    }

    /// <summary>The read models.</summary>
    public IReadOnlyCollection<Projection> Projections => _projections.Values;

    internal ProjectionOptions Options { get; }

    internal TimeProvider Time { get; }

    internal ILogger Logger { get; }

    internal NpgsqlDataSource Database { get; }

    internal ProjectionStore Store { get; }

    internal JournalPages Pages { get; }

    internal ProjectionMetrics Metrics { get; }

    /// <summary>
    /// Makes the tables of projections that have none, and begins to fill new ones where the code of a projection has another fold version.
    /// To be called before the first partition is opened.
    /// </summary>
    /// <returns>The rebuilds that began, by name of the projection, and why.</returns>
    public async Task<IReadOnlyList<(string Projection, string Reason)>> EnsureAsync(CancellationToken cancellation)
    {
        var began = new List<(string, string)>();
        foreach (var projection in Projections)
        {
            if (await Store.EnsureAsync(projection, Options.Partitions, cancellation).ConfigureAwait(false) is not var (before, begun))
                continue;
            var reason = before.FoldVersion != projection.FoldVersion
                ? $"fold version {before.FoldVersion} -> {projection.FoldVersion}"
                : $"partitions {before.Partitions} -> {Options.Partitions}";
            Log.ProjectionRebuilds(Logger, projection.Name, begun, reason);
            began.Add((projection.Name, reason));
        }

        return began;
    }

    /// <summary>Runs one partition of a projection until it is disposed of.</summary>
    /// <param name="projection">Name of the projection.</param>
    /// <param name="partition">Its number.</param>
    /// <param name="wakeOthers">Called when the other partitions of the projection, wherever they run, are to look at the database.</param>
    public ProjectionPartition Open(string projection, int partition, Func<Task>? wakeOthers = null)
    {
        var opened = new ProjectionPartition(this, _projections[projection], new(partition, Options.Partitions), wakeOthers);
        _open.TryAdd(opened, 0);
        return opened;
    }

    /// <summary>Closes every connection. Partitions are disposed of before.</summary>
    public async ValueTask DisposeAsync()
    {
        Metrics.Dispose();
        await Database.DisposeAsync().ConfigureAwait(false);
    }

    internal Projection? Find(string projection) => _projections.GetValueOrDefault(projection);

    internal SemaphoreSlim WritersOf(Projection projection, bool serving) => serving ? _writers[projection.Name] : _rebuildWriters;

    internal TimeSpan Backoff(int failures)
    {
        var backoff = FirstBackoff * Math.Pow(2, Math.Min(failures, 20));
        return backoff < Options.MaxBackoff ? backoff : Options.MaxBackoff;
    }

    internal void Closed(ProjectionPartition partition) => _open.TryRemove(partition, out _);
}
