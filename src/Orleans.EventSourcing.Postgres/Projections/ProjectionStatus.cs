namespace Orleans.EventSourcing.Postgres;

/// <summary>How a projection stands, by its rows in the database.</summary>
/// <param name="Name">Of the projection.</param>
/// <param name="State"><c>running</c>, <c>rebuilding</c>, <c>paused</c>, or <c>parked</c> where a partition is.</param>
/// <param name="Generation">Number of the fill that serves.</param>
/// <param name="FoldVersion">Of the code that filled it.</param>
/// <param name="LagEvents">How far the partition that is furthest behind lies below the head.</param>
/// <param name="LagSeconds">How long ago the first event that is not handled was recorded; 0 where all are.</param>
/// <param name="Progress">Of the rebuild, 0 to 1; null where none runs.</param>
/// <param name="Partitions">By number; after them those that have parked in tables that are being filled.</param>
public sealed record ProjectionStatus(
    string Name,
    string State,
    int Generation,
    int FoldVersion,
    long LagEvents,
    decimal LagSeconds,
    decimal? Progress,
    IReadOnlyList<ProjectionPartitionStatus> Partitions);

/// <summary>How a partition stands.</summary>
/// <param name="N">Its number.</param>
/// <param name="State"><c>running</c>, <c>paused</c>, or <c>parked</c>.</param>
/// <param name="Position">Everything up to here is in the tables.</param>
/// <param name="Parked">Where and why it stands still; null where it does not.</param>
public sealed record ProjectionPartitionStatus(int N, string State, long Position, ParkedAt? Parked);

/// <summary>What a partition stands still at.</summary>
/// <param name="Position">The event's; or the checkpoint's own, where the journal was restored.</param>
/// <param name="Reason">What went wrong.</param>
/// <param name="At">Since when.</param>
public sealed record ParkedAt(long Position, string Reason, DateTimeOffset At);
