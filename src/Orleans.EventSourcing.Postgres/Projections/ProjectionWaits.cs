using System.Collections.Concurrent;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// How a query waits for a position. What was once reached stays reached and is remembered, so that only a position that is new to this
/// process costs a call to the partition's grain.
/// </summary>
/// <param name="partitions">How many each projection has.</param>
/// <param name="ask">Asks a partition: see <see cref="IProjectionGrain.ReachedAsync"/>.</param>
public sealed class ProjectionWaits(int partitions, Func<string, int, Position, TimeSpan, Task<Position?>> ask)
{
    private readonly ConcurrentDictionary<(string Projection, int Partition), Position> _reached = [];

    /// <summary>The partition that a stream's events lie in.</summary>
    public Partition PartitionOf(string streamId) => Partition.Of(StreamSlot.Of(streamId), partitions);

    /// <summary>Waits until the tables of a projection hold everything up to a position.</summary>
    /// <param name="projection">Name of the projection.</param>
    /// <param name="partition">The only partition that matters; null for all.</param>
    /// <param name="position">What the reader must see.</param>
    /// <param name="within">How long at most.</param>
    /// <returns>Up to where they hold everything; null where they do not in that time, or a partition stands still.</returns>
    public async Task<Position?> ReachedAsync(string projection, Partition? partition, Position position, TimeSpan within)
    {
        if (partition is { Number: var only })
            return await OfAsync(projection, only, position, within).ConfigureAwait(false);
        var all = await Task.WhenAll(Enumerable.Range(0, partitions).Select(n => OfAsync(projection, n, position, within)))
            .ConfigureAwait(false);
        return all.Contains(null) ? null : all.Min();
    }

    private async Task<Position?> OfAsync(string projection, int partition, Position position, TimeSpan within)
    {
        if (_reached.TryGetValue((projection, partition), out var known) && known >= position)
            return known;
        if (position == default)
            return position;
        if (await ask(projection, partition, position, within).ConfigureAwait(false) is not { } reached)
            return null;
        return _reached.AddOrUpdate((projection, partition), reached, (_, before) => before > reached ? before : reached);
    }
}
