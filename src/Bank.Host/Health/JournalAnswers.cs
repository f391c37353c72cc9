using Bank.Contracts;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Bank.Host.Health;

/// <summary>Whether an append could be made: by this process' own silo where it has one, else by any.</summary>
internal sealed class JournalAnswers(IGrainFactory grains) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            return await grains.GetGrain<IJournalProbeGrain>(0).Ask().WaitAsync(cancellationToken) switch
            {
                ReplyStatus.Done => HealthCheckResult.Healthy(),
                ReplyStatus.Overloaded => HealthCheckResult.Unhealthy("the writer's queue is full"),
                _ => HealthCheckResult.Unhealthy("the journal cannot be reached"),
            };
        }
        catch (Exception e) when (e is OrleansException or TimeoutException)
        {
            return HealthCheckResult.Unhealthy($"no silo answers: {e.Message}");
        }
    }
}
