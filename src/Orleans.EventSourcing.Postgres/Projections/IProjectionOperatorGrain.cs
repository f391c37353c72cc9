namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// What an operator does to a projection, keyed by its name: see <see cref="ProjectionOperations"/>. Any process of the cluster may ask;
/// a silo acts.
/// </summary>
[Alias("journal.IProjectionOperatorGrain")]
public interface IProjectionOperatorGrain : IGrainWithStringKey
{
    /// <summary>Lets all partitions stand still.</summary>
    [Alias("Pause")]
    Task<OperatorOutcome> PauseAsync(OperatorAct act);

    /// <summary>Lets them go on.</summary>
    [Alias("Resume")]
    Task<OperatorOutcome> ResumeAsync(OperatorAct act);

    /// <summary>Fills new tables, which then serve.</summary>
    [Alias("Rebuild")]
    Task<OperatorOutcome> RebuildAsync(OperatorAct act);

    /// <summary>Has a parked partition try its event again.</summary>
    [Alias("Retry")]
    Task<OperatorOutcome> RetryAsync(int partition, OperatorAct act);

    /// <summary>Steps over exactly the event at which a partition has parked.</summary>
    [Alias("Skip")]
    Task<OperatorOutcome> SkipAsync(int partition, Position position, OperatorAct act);
}
