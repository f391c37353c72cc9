namespace Orleans.EventSourcing.Postgres;

/// <summary>One operator at a time acts on a projection.</summary>
[GrainType("projection-operator")]
internal sealed class ProjectionOperatorGrain(ProjectionOperations operations) : Grain, IProjectionOperatorGrain
{
    public Task<OperatorOutcome> PauseAsync(OperatorAct act) =>
        operations.PauseAsync(this.GetPrimaryKeyString(), act, CancellationToken.None);

    public Task<OperatorOutcome> ResumeAsync(OperatorAct act) =>
        operations.ResumeAsync(this.GetPrimaryKeyString(), act, CancellationToken.None);

    public Task<OperatorOutcome> RebuildAsync(OperatorAct act) =>
        operations.RebuildAsync(this.GetPrimaryKeyString(), act, CancellationToken.None);

    public Task<OperatorOutcome> RetryAsync(int partition, OperatorAct act) =>
        operations.RetryAsync(this.GetPrimaryKeyString(), partition, act, CancellationToken.None);

    public Task<OperatorOutcome> SkipAsync(int partition, Position position, OperatorAct act) =>
        operations.SkipAsync(this.GetPrimaryKeyString(), partition, position, act, CancellationToken.None);
}
