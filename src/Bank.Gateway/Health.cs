using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Orleans.EventSourcing.Postgres;

namespace Bank.Gateway;

internal sealed record HealthBody(string Status, IReadOnlyDictionary<string, string>? Checks = null);

/// <summary>Whether the process lives, and whether it can be given requests. Others add their checks to the framework's list.</summary>
internal static class Health
{
    public static void AddReadiness(this IServiceCollection services, TimeSpan checkWithin) =>
        services.AddHealthChecks().AddCheck<JournalCheck>("journal", timeout: checkWithin);

    public static void MapHealth(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/health/live", () => TypedResults.Json(new HealthBody("live"), GatewayJson.Default.HealthBody));
        routes.MapGet("/health/ready", Ready);
    }

    private static async Task<IResult> Ready(HealthCheckService checks, HttpContext http)
    {
        var report = await checks.CheckHealthAsync(http.RequestAborted);
        http.Response.Headers.CacheControl = "no-store";
        return TypedResults.Json(
            new HealthBody(Word(report.Status), report.Entries.ToDictionary(entry => entry.Key, entry => Describe(entry.Value))),
            GatewayJson.Default.HealthBody,
            statusCode: report.Status == HealthStatus.Unhealthy ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK);
    }

    private static string Word(HealthStatus status) => status switch
    {
        HealthStatus.Healthy => "ready",
        HealthStatus.Degraded => "degraded",
        _ => "unready",
    };

    private static string Describe(HealthReportEntry entry) =>
        entry.Description is { Length: > 0 } description ? $"{Word(entry.Status)}: {description}" : Word(entry.Status);

    /// <summary>Asks the writer a question, which is answered under the lock of every append, by a silo that may still write.</summary>
    private sealed class JournalCheck(IJournal journal) : IHealthCheck
    {
        // No such stream is ever written, so the answer is always "version 0".
        private const string AnyStream = "health";

        public async Task<HealthCheckResult> CheckHealthAsync(
            HealthCheckContext context, CancellationToken cancellationToken = default) =>
            await journal.AskAsync(new(AnyStream, null)).AsTask().WaitAsync(cancellationToken) switch
            {
                Answer.Confirmed => HealthCheckResult.Healthy(),
                Answer.Overloaded => HealthCheckResult.Unhealthy("the writer's queue is full"),
                _ => HealthCheckResult.Unhealthy("the journal cannot be reached"),
            };
    }
}
