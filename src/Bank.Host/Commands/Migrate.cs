using System.Text.Json;
using Bank.Host.Postgres;

namespace Bank.Host.Commands;

/// <summary><c>./bank migrate</c>: brings the database forward to this build.</summary>
internal static class Migrate
{
    public static async Task<ExitCode> RunAsync(HostSettings settings, bool json, IProgress<string> progress, CancellationToken stop)
    {
        await using var database = await Database.OpenAsync(settings, progress, stop);
        var applied = await database.MigrateAsync(progress, stop);
        Console.Out.WriteLine(json
            ? JsonSerializer.Serialize(new { applied }, HostSettings.Json)
            : applied.Count == 0 ? "the database is up to date" : $"{applied.Count} scripts applied");
        return ExitCode.Done;
    }
}
