using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Bank.Gateway;

internal sealed record HealthBody(string Status, IReadOnlyDictionary<string, string>? Checks = null);

/// <summary>Whether the process lives, and whether it can be given requests. Others add their checks to the framework's list.</summary>
public static class BankHealth
{
    /// <summary>Maps the routes of health; a process that is no gateway has them, too.</summary>
    public static void MapBankHealth(this IEndpointRouteBuilder routes)
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

    /// <summary>How the contract says it.</summary>
    public static string Word(HealthStatus status) => status switch
    {
        HealthStatus.Healthy => "ready",
        HealthStatus.Degraded => "degraded",
        _ => "unready",
    };

    /// <summary>The same with what the check has found.</summary>
    public static string Describe(HealthReportEntry entry) =>
        entry.Description is { Length: > 0 } description ? $"{Word(entry.Status)}: {description}" : Word(entry.Status);
}
