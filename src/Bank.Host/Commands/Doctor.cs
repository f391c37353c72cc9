using System.Text.Json;
using Bank.Host.Postgres;
using Npgsql;
using Orleans.EventSourcing.Postgres.Schema;

namespace Bank.Host.Commands;

/// <summary><c>./bank doctor</c>: looks at everything that the bank needs, and says of each whether it is there.</summary>
internal static class Doctor
{
    private const long EnoughDisk = 1L << 30;

    private sealed record Finding(string Check, bool Ok, string Detail);

    public static async Task<ExitCode> RunAsync(HostSettings settings, bool json, IProgress<string> progress, CancellationToken stop)
    {
        var findings = new List<Finding> { await SdkAsync(stop) };
        if (settings.ExternalApp is null)
        {
            findings.Add(await ProgramsAsync(stop));
            findings.Add(Disk(settings.DataDirectory));
        }

        if (settings.ExternalApp is not null || LocalPostgres.Exists(settings.DataDirectory))
            findings.AddRange(await DatabaseAsync(settings, progress, stop));
        else
            findings.Add(new("database", true, $"none yet in {settings.DataDirectory}; ./bank up makes it"));

        if (json)
            Console.Out.WriteLine(JsonSerializer.Serialize(new { ok = findings.All(finding => finding.Ok), findings }, HostSettings.Json));
        else
            foreach (var finding in findings)
                Console.Out.WriteLine($"{(finding.Ok ? "ok  " : "BAD ")} {finding.Check,-14} {finding.Detail}");
        return findings.TrueForAll(finding => finding.Ok) ? ExitCode.Done : ExitCode.Failed;
    }

    private static async Task<Finding> SdkAsync(CancellationToken stop)
    {
        if (ChildProcess.OnPath("dotnet") is not { } dotnet)
            return new("sdk", false, "no dotnet on PATH");
        var version = await ChildProcess.RunAsync(dotnet, ["--version"], stop);
        return new("sdk", version.Succeeded, $".NET SDK {version.Output}");
    }

    private static async Task<Finding> ProgramsAsync(CancellationToken stop)
    {
        var found = await PostgresPrograms.FindAsync(stop);
        return new(
            "postgres",
            found.Any(programs => programs.MajorVersion >= Migrator.MinimumServerVersion),
            found.Count == 0
                ? "PostgreSQL is not installed; ./bank up installs it"
                : string.Join(", ", found.Select(programs => $"{programs.MajorVersion} in {programs.Directory}")));
    }

    private static Finding Disk(string directory)
    {
        var existing = directory;
        while (!Directory.Exists(existing))
            existing = Path.GetDirectoryName(existing)!;
        var free = new DriveInfo(existing).AvailableFreeSpace;
        return new("disk", free >= EnoughDisk, $"{free >> 20} MiB free in {directory}");
    }

    private static async Task<List<Finding>> DatabaseAsync(HostSettings settings, IProgress<string> progress, CancellationToken stop)
    {
        var findings = new List<Finding>();
        try
        {
            await using var database = await Database.OpenAsync(settings, progress, stop);
            var problems = await database.DurabilityProblemsAsync(stop);
            findings.Add(new("database", true, "reachable, and new enough"));
            findings.Add(new(
                "durability", problems.Count == 0, problems.Count == 0 ? "commits survive a crash" : string.Join(", ", problems)));
            findings.Add(await RoleAsync(database.App, stop));
            var pending = await database.PendingAsync(stop);
            findings.Add(new(
                "migrations", pending.Count == 0, pending.Count == 0 ? "up to date" : $"{pending.Count} to run: ./bank migrate"));
        }
        catch (Exception e) when (e is CommandException or MigrationException)
        {
            findings.Add(new("database", false, e.Message));
        }

        return findings;
    }

    private static async Task<Finding> RoleAsync(string connectionString, CancellationToken stop)
    {
        await using var source = NpgsqlDataSource.Create(connectionString);
        await using var command = source.CreateCommand(
            """
            SELECT session_user::text,
                   session_user = $1,
                   current_setting('jit') = 'off' AND current_setting('tcp_user_timeout') <> '0'
            """);
        command.Parameters.Add(new() { Value = Roles.App });
        await using var reader = await command.ExecuteReaderAsync(stop);
        await reader.ReadAsync(stop);
        var (role, isApp, isSet) = (reader.GetString(0), reader.GetBoolean(1), reader.GetBoolean(2));
        return new(
            "role",
            isApp && isSet,
            !isApp ? $"the bank connects as {role}; as {Roles.App} it could append and nothing else"
                : isSet ? $"the bank connects as {role}"
                : $"{role} lacks its settings; a superuser's ./bank migrate sets them");
    }
}
