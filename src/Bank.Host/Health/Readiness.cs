using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Bank.Host.Health;

/// <summary>A process that is to end leaves first: it says that it is not ready, and closes connections after their answers.</summary>
public sealed class Readiness : IHealthCheck
{
    private volatile bool _leaving;

    /// <summary>From now on others are to be asked.</summary>
    public void Leave() => _leaving = true;

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(_leaving ? HealthCheckResult.Unhealthy("leaving") : HealthCheckResult.Healthy());

    internal Task CloseConnections(HttpContext http, RequestDelegate next)
    {
        if (_leaving)
            http.Response.Headers.Connection = "close";
        return next(http);
    }
}
