using Bank.Contracts;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Bank.Host.Health;

/// <summary>Whether an append could be made: by this process' own silo where it has one, else by any.</summary>
internal sealed class JournalAnswers(IGrainFactory grains) : IHealthCheck
{
    // A client sends all calls of one key to one silo, which may be frozen or without a database while the others serve.
    private const int Keys = 8;

    private const string QueueFull = "the writer's queue is full";

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        string? reason = null;
        try
        {
            await foreach (var call in Task.WhenEach(Enumerable.Range(0, Keys).Select(AskAsync)).WithCancellation(cancellationToken))
            {
                if (await call is not { } refusal)
                    return HealthCheckResult.Healthy();
                if (reason != QueueFull)
                    reason = refusal;
            }
        }
        catch (OperationCanceledException) when (reason is not null)
        {
            // What others have said says more than that one is silent.
        }

        return HealthCheckResult.Unhealthy(reason);
    }

    /// <summary>Null, or why not.</summary>
    private async Task<string?> AskAsync(int key)
    {
        try
        {
            return await grains.GetGrain<IJournalProbeGrain>(key).Ask() switch
            {
                ReplyStatus.Done => null,
                ReplyStatus.Overloaded => QueueFull,
                _ => "the journal cannot be reached",
            };
        }
        catch (Exception e)
        {
            return $"no silo answers: {e.Message}";
        }
    }
}
