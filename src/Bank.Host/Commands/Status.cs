using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Bank.Host.Postgres;

namespace Bank.Host.Commands;

/// <summary><c>./bank status</c>: what runs, without starting anything.</summary>
internal static class Status
{
    private sealed record Report(
        bool Running, string Health, string Address, int? ProcessId, string? DataDirectory, int? PostgresProcessId, int? PostgresPort);

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
        return new(
            host is not null,
            host is null ? "stopped" : await HealthAsync(host.Address, stop),
            host?.Address ?? "",
            host?.ProcessId,
            directory,
            postgres,
            port);
    }

    // On an external database a host leaves no trace in a directory; all that can be asked is its address.
    private static async Task<Report> OfAddressAsync(string address, CancellationToken stop)
    {
        var health = await HealthAsync(address, stop);
        return new(health != "unreachable", health, address, null, null, null, null);
    }

    private static async Task<string> HealthAsync(string address, CancellationToken stop)
    {
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(5) };
        try
        {
            using var answer = await client.GetAsync(new Uri($"{address}/health/ready"), stop);
            return (string?)(await answer.Content.ReadFromJsonAsync<JsonNode>(stop))?["status"] ?? "unknown";
        }
        catch (Exception e) when (e is HttpRequestException or JsonException or TaskCanceledException && !stop.IsCancellationRequested)
        {
            return "unreachable";
        }
    }

    private static string Sentence(Report report) => report switch
    {
        { Running: true, ProcessId: { } process } => $"the bank on {report.Address} is {report.Health} (process {process}, data in " +
            $"{report.DataDirectory}, PostgreSQL process {report.PostgresProcessId} on port {report.PostgresPort})",
        { Running: true } => $"the bank on {report.Address} is {report.Health}",
        { DataDirectory: null } => $"no bank answers on {report.Address}",
        { PostgresProcessId: { } process } => $"no bank runs on {report.DataDirectory}, but its PostgreSQL does (process {process})",
        _ => $"no bank runs on {report.DataDirectory}",
    };
}
