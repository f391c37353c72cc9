using Microsoft.Extensions.Diagnostics.HealthChecks;
using Orleans.EventSourcing.Postgres;

namespace Bank.Host.Health;

/// <summary>Partitions of read models that stand still until an operator acts: the bank works, and somebody should look.</summary>
internal sealed class ParkedProjections(ProjectionStatusReader projections) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var parked = (await projections.ReadAsync(cancellationToken)).Where(p => p.State == "parked").Select(p => p.Name).ToList();
        return parked.Count == 0
            ? HealthCheckResult.Healthy()
            : HealthCheckResult.Degraded($"partitions of {string.Join(", ", parked)} have parked");
    }
}
