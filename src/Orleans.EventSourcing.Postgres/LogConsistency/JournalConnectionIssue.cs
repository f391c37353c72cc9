namespace Orleans.EventSourcing.Postgres;

/// <summary>The journal cannot be reached, or was lost while it committed.</summary>
[GenerateSerializer]
public sealed class JournalConnectionIssue : ConnectionIssue
{
    /// <inheritdoc/>
    public override TimeSpan ComputeRetryDelay(TimeSpan? previous) => TimeSpan.Zero;
}
