namespace Orleans.EventSourcing.Postgres;

/// <summary>How a partition of a projection stands.</summary>
public enum PartitionState
{
    /// <summary>It has not read yet where it stands, or nobody runs it, or it is behind.</summary>
    Starting,

    /// <summary>It follows the journal.</summary>
    Running,

    /// <summary>An operator has paused the projection.</summary>
    Paused,

    /// <summary>It stands still at an event, or because the journal was restored, until an operator acts.</summary>
    Parked,

    /// <summary>Its tables are no longer those that serve.</summary>
    Gone,
}

/// <summary>How far a partition of a projection has come, by what its activation knows.</summary>
/// <param name="State">How it stands.</param>
/// <param name="Position">Everything up to here is handled.</param>
/// <param name="LagEvents">Positions that are known to lie beyond.</param>
/// <param name="Lag">How old the first of them is, or how long it has been known where that is shorter.</param>
/// <param name="Parked">Where it has parked.</param>
/// <param name="Reason">Why it has parked.</param>
public sealed record PartitionProgress(
    PartitionState State, Position Position, long LagEvents, TimeSpan Lag, Position? Parked, string? Reason);
