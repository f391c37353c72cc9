namespace Orleans.EventSourcing.Postgres;

/// <summary>One operator at a time acts on a projection.</summary>
[GrainType("projection-operator")]
internal sealed class ProjectionOperatorGrain(ProjectionOperations operations) : Grain, IProjectionOperatorGrain
{
    public Task<bool> PauseAsync(OperatorAct act) => IfExistsAsync(name => operations.PauseAsync(name, act, CancellationToken.None));

    public Task<bool> ResumeAsync(OperatorAct act) => IfExistsAsync(name => operations.ResumeAsync(name, act, CancellationToken.None));

    public Task<bool> RebuildAsync(OperatorAct act) => IfExistsAsync(name => operations.RebuildAsync(name, act, CancellationToken.None));

    public Task<bool> RetryAsync(int partition, OperatorAct act) =>
        operations.RetryAsync(this.GetPrimaryKeyString(), partition, act, CancellationToken.None);

    public Task<bool> SkipAsync(int partition, Position position, OperatorAct act) =>
        operations.SkipAsync(this.GetPrimaryKeyString(), partition, position, act, CancellationToken.None);

    private async Task<bool> IfExistsAsync(Func<string, Task> act)
    {
        var name = this.GetPrimaryKeyString();
        if (!operations.Exists(name))
            return false;
        await act(name);
        return true;
    }
}
