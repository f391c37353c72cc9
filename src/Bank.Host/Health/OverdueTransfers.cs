using Bank.Grains.Transfers;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Bank.Host.Health;

/// <summary>Transfers that nobody has taken further for too long: the bank works, and somebody should look.</summary>
internal sealed class OverdueTransfers(TransferWatch watch) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var (open, overdue) = await watch.CountAsync(cancellationToken);
        return overdue == 0
            ? HealthCheckResult.Healthy()
            : HealthCheckResult.Degraded($"{overdue} of {open} open transfers have taken no step for too long");
    }
}
