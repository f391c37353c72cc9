using Bank.Grains;
using Bank.Grains.Transfers;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Bank.Host.Health;

/// <summary>
/// Transfers that nobody has taken further for too long, or that nobody looks after: the bank works, and somebody should look.
/// </summary>
internal sealed class OverdueTransfers(TransferWatch watch, BankOptions options) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var (open, overdue, behind) = await watch.CountAsync(cancellationToken);
        return overdue > 0 ? HealthCheckResult.Degraded($"{overdue} of {open} open transfers have taken no step for too long")
            : behind > options.TransferOverdueAfter.TotalSeconds ? HealthCheckResult.Degraded(
                $"the watchdog of transfers has not looked at the record for {behind:0} s")
            : HealthCheckResult.Healthy();
    }
}
