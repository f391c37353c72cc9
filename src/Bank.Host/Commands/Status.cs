using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Bank.Host.Postgres;

namespace Bank.Host.Commands;

/// <summary><c>./bank status</c>: what runs, without starting anything.</summary>
internal static class Status
{
    /// <param name="Running">Whether a host runs.</param>
    /// <param name="Health">What it says of itself, or why it says nothing.</param>
    /// <param name="Problems">Of its checks, those that are not as they should be: overdue transfers, for example.</param>
    /// <param name="Address">Where it answers.</param>
    /// <param name="ProcessId">Its process.</param>
    /// <param name="DataDirectory">Where its data lie; null with an external database.</param>
    /// <param name="PostgresProcessId">The private server's process.</param>
    /// <param name="PostgresPort">The private server's port.</param>
    private sealed record Report(
        bool Running,
        string Health,
        IReadOnlyList<string> Problems,
        string Address,
        int? ProcessId,
        string? DataDirectory,
        int? PostgresProcessId,
        int? PostgresPort);

    public static async Task<ExitCode> RunAsync(HostSettings settings, bool json, CancellationToken stop)
    {
        var report = settings.ExternalApp is null
            ? await OfDataDirectoryAsync(settings.DataDirectory, stop)
            : await OfAddressAsync(settings.Address, stop);
        Console.Out.WriteLine(json ? JsonSerializer.Serialize(report, HostSettings.Json) : Sentence(report));
        return report.Running ? ExitCode.Done : ExitCode.NotRunning;
    }

    private static async Task<Report> OfDataDirectoryAsync(string directory, CancellationToken stop)
    {
        var host = RunningHost.Find(directory);
        var postgres = LocalPostgres.ProcessOf(directory);
        var port = postgres is null ? null : (await LocalPostgres.AtAsync(directory, stop)).Port as int?;
        var (health, problems) = host is null ? ("stopped", []) : await HealthAsync(host.Address, stop);
        return new(
            host is not null,
            health,
            problems,
            host?.Address ?? "",
            host?.ProcessId,
            directory,
            postgres,
            port);
    }

    // On an external database a host leaves no trace in a directory; all that can be asked is its address.
    private static async Task<Report> OfAddressAsync(string address, CancellationToken stop)
    {
        var (health, problems) = await HealthAsync(address, stop);
        return new(health != "unreachable", health, problems, address, null, null, null, null);
    }

    private static async Task<(string Health, IReadOnlyList<string> Problems)> HealthAsync(string address, CancellationToken stop)
    {
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(5) };
        try
        {
            using var answer = await client.GetAsync(new Uri($"{address}/health/ready"), stop);
            var body = await answer.Content.ReadFromJsonAsync<JsonNode>(stop);
            var checks = body?["checks"] as JsonObject ?? [];
            return (
                (string?)body?["status"] ?? "unknown",
                [.. checks.Where(check => (string?)check.Value != "ready").Select(check => $"{check.Key} {check.Value}")]);
        }
        catch (Exception e) when (e is HttpRequestException or JsonException or TaskCanceledException && !stop.IsCancellationRequested)
        {
            return ("unreachable", []);
        }
    }

    private static string Sentence(Report report) => string.Join("\n  ", [Summary(report), .. report.Problems]);

    private static string Summary(Report report) => report switch
    {
        { Running: true, ProcessId: { } process } => $"the bank on {report.Address} is {report.Health} (process {process}, data in " +
            $"{report.DataDirectory}, PostgreSQL process {report.PostgresProcessId} on port {report.PostgresPort})",
        { Running: true } => $"the bank on {report.Address} is {report.Health}",
        { DataDirectory: null } => $"no bank answers on {report.Address}",
        { PostgresProcessId: { } process } => $"no bank runs on {report.DataDirectory}, but its PostgreSQL does (process {process})",
        _ => $"no bank runs on {report.DataDirectory}",
    };
}
