using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Bank.Host.Cluster;
using Bank.Host.Health;
using Bank.Host.Postgres;

namespace Bank.Host.Commands;

/// <summary><c>./bank status</c>: what runs, without starting anything.</summary>
internal static class Status
{
    // Docker gives a health check five seconds, with the start of this process.
    private static readonly TimeSpan LiveTimeout = TimeSpan.FromSeconds(3);

    /// <param name="Running">Whether a host runs.</param>
    /// <param name="Health">What it says of itself, or why it says nothing.</param>
    /// <param name="Problems">Of its checks, those that are not as they should be: overdue transfers, for example.</param>
    /// <param name="Address">Where it answers.</param>
    /// <param name="ProcessId">Its process.</param>
    /// <param name="DataDirectory">Where its data lie; null with an external database.</param>
    /// <param name="PostgresProcessId">The private server's process.</param>
    /// <param name="PostgresPort">The private server's port.</param>
    /// <param name="Detail">What it tells operators on its machine; null where it does not.</param>
    /// <param name="Writers">What waits for the writer of each process that has one.</param>
    private sealed record Report(
        bool Running,
        string Health,
        IReadOnlyList<string> Problems,
        string Address,
        int? ProcessId,
        string? DataDirectory,
        int? PostgresProcessId,
        int? PostgresPort,
        HealthReport? Detail,
        IReadOnlyDictionary<string, int> Writers);

    public static async Task<ExitCode> RunAsync(HostSettings settings, bool json, CancellationToken stop)
    {
        var report = settings.ExternalApp is null
            ? await OfDataDirectoryAsync(settings.DataDirectory, stop)
            : await OfAddressAsync(settings, stop);
        Console.Out.WriteLine(json ? JsonSerializer.Serialize(report, HostSettings.Json) : Sentence(report));
        return report.Running ? ExitCode.Done : ExitCode.NotRunning;
    }

    /// <summary>Whether the process answers at all, however it is: for who restarts one that does not.</summary>
    public static async Task<ExitCode> LiveAsync(HostSettings settings, bool json, CancellationToken stop)
    {
        var address = settings.ExternalApp is not null ? settings.Address
            : (await RunningHost.FindAsync(settings.DataDirectory, stop))?.Address;
        var live = address is not null && await LivesAsync(address, stop);
        Console.Out.WriteLine(
            json ? JsonSerializer.Serialize(new { live, address }, HostSettings.Json)
            : address is null ? $"no bank runs on {settings.DataDirectory}"
            : live ? $"the bank on {address} is alive"
            : $"no bank answers on {address}");
        return live ? ExitCode.Done : ExitCode.NotRunning;
    }

    private static async Task<bool> LivesAsync(string address, CancellationToken stop)
    {
        using var client = new HttpClient { Timeout = LiveTimeout };
        try
        {
            using var answer = await client.GetAsync(new Uri($"{address}/health/live"), stop);
            return answer.IsSuccessStatusCode;
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException && !stop.IsCancellationRequested)
        {
            return false;
        }
    }

    private static async Task<Report> OfDataDirectoryAsync(string directory, CancellationToken stop)
    {
        var host = await RunningHost.FindAsync(directory, stop);
        var postgres = LocalPostgres.ProcessOf(directory);
        var port = postgres is null ? null : (await LocalPostgres.AtAsync(directory, stop)).Port as int?;
        var members = host is null ? [] : await MembersAsync(directory, host.Address, stop);
        var address = host is null ? "" : AddressOf(members, host.Address);
        var (health, problems) = host is null ? ("stopped", []) : await HealthAsync(address, stop);
        var detail = host is null ? null : await DetailAsync(address, stop);
        return new(
            host is not null,
            health,
            problems,
            address,
            host?.ProcessId,
            directory,
            postgres,
            port,
            detail,
            await WritersAsync(members, detail, stop));
    }

    // On an external database a host leaves no trace in a directory, a cluster apart; all that can be asked is its address.
    private static async Task<Report> OfAddressAsync(HostSettings settings, CancellationToken stop)
    {
        var members = await MembersAsync(settings.DataDirectory, settings.Address, stop);
        var address = AddressOf(members, settings.Address);
        var (health, problems) = await HealthAsync(address, stop);
        var detail = await DetailAsync(address, stop);
        var writers = await WritersAsync(members, detail, stop);
        return new(health != "unreachable", health, problems, address, null, null, null, null, detail, writers);
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

    private static async Task<HealthReport?> DetailAsync(string address, CancellationToken stop)
    {
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(5) };
        try
        {
            using var answer = await client.GetAsync(new Uri($"{address}/health/detail"), stop);
            return answer.IsSuccessStatusCode ? await answer.Content.ReadFromJsonAsync<HealthReport>(HostSettings.Json, stop) : null;
        }
        catch (Exception e) when (e is HttpRequestException or JsonException or TaskCanceledException && !stop.IsCancellationRequested)
        {
            // Its health says that it cannot be reached.
            return null;
        }
    }

    // Of the cluster that the directory has, if it is the one at that address.
    private static async Task<IReadOnlyList<MemberReport>> MembersAsync(string directory, string address, CancellationToken stop)
    {
        if (!File.Exists(ClusterControl.SocketOf(directory)))
            return [];
        try
        {
            var members = await ClusterControl.AskAsync<MemberReport[]>(directory, HttpMethod.Get, "/members", stop);
            return members.Any(member => member.Address == address) ? members : [];
        }
        catch (CommandException)
        {
            // The socket of a cluster that was killed.
            return [];
        }
    }

    // Any gateway answers for all of them.
    private static string AddressOf(IReadOnlyList<MemberReport> members, string address) =>
        members.FirstOrDefault(member => member is { Role: "gateway", State: "ready" })?.Address ?? address;

    // Of a cluster only its silos know.
    private static async Task<IReadOnlyDictionary<string, int>> WritersAsync(
        IReadOnlyList<MemberReport> members, HealthReport? detail, CancellationToken stop)
    {
        if (members.Count == 0)
            return WriterOf(detail);
        var silos = members.Where(member => member is { Role: "silo", State: "ready" }).ToList();
        var details = await Task.WhenAll(silos.Select(silo => DetailAsync(silo.Address, stop)));
        return silos.Zip(details).Where(of => of.Second?.WriterQueue is not null).ToDictionary(
            of => $"silo {of.First.Index}", of => of.Second!.WriterQueue!.Value);
    }

    private static Dictionary<string, int> WriterOf(HealthReport? detail) =>
        detail?.WriterQueue is { } queue ? new() { [detail.Role == "silo" ? "silo" : "bank"] = queue } : [];

    private static string Sentence(Report report) =>
        string.Join("\n  ", [Summary(report), .. report.Problems, .. report.Detail is { } detail ? Lines(detail, report.Writers) : []]);

    private static IEnumerable<string> Lines(HealthReport detail, IReadOnlyDictionary<string, int> writers)
    {
        if (detail.Database is { } server)
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"database: {server.Role}, PostgreSQL {server.Version}, {server.Connections} of {server.MaxConnections} connections, " +
                $"its clock {server.ClockOffsetMilliseconds:0.#} ms ahead");
        if (detail.DataDirectory is { } disk)
            yield return $"disk: {Gigabytes(disk.FreeBytes)} of {Gigabytes(disk.TotalBytes)} GB free in {disk.Path}";
        if (writers.Count > 0)
            yield return $"waiting for the writer: {string.Join(", ", writers.Select(writer => $"{writer.Value} in {writer.Key}"))}";
        if (detail.Projections is { Count: > 0 } projections)
            yield return $"read models: {string.Join(", ", projections.Select(Of))}";
        if (detail.Transfers is { } transfers)
            yield return $"transfers: {transfers.Open} open, {transfers.Overdue} overdue";
        if (detail.Members is { } members)
            yield return $"silos: {string.Join(", ", members.Select(silo => $"{silo.Name} {silo.State}{Suspicion(silo)}"))}";

        static string Of(HealthReport.Lag projection) => string.Create(
            CultureInfo.InvariantCulture,
            $"{projection.Name} {projection.State}, {projection.LagEvents} behind")
            + (projection.Parked.Count > 0 ? $" (parked: {string.Join(' ', projection.Parked)})" : "");

        static string Suspicion(HealthReport.Silo silo) => silo.Suspected > 0 ? $" (suspected by {silo.Suspected})" : "";

        static string Gigabytes(long bytes) => (bytes / 1e9).ToString("0.#", CultureInfo.InvariantCulture);
    }

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
