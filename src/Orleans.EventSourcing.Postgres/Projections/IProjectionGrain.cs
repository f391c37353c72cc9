using Orleans.Concurrency;

namespace Orleans.EventSourcing.Postgres;

/// <summary>One partition of one projection in the cluster; see <see cref="ProjectionGrain"/>.</summary>
[Alias("journal.IProjectionGrain")]
public interface IProjectionGrain : IGrainWithStringKey
{
    /// <summary>
    /// Waits until the serving tables hold everything of this partition up to a position. Answers up to where they do; null where they do
    /// not in that time, at once where the partition is paused or parked.
    /// </summary>
    [Alias("Reached"), AlwaysInterleave]
    Task<Position?> ReachedAsync(Position position, TimeSpan within);

    /// <summary>Has the partition look at the database again: an operator has acted, or a rebuild has begun or ended.</summary>
    [Alias("Refresh"), AlwaysInterleave]
    Task RefreshAsync();
}
