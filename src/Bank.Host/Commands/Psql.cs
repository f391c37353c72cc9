using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Bank.Host.Postgres;
using Npgsql;

namespace Bank.Host.Commands;

/// <summary><c>./bank psql</c>: PostgreSQL's shell on the bank's database.</summary>
internal static class Psql
{
    public static async Task<int> RunAsync(
        HostSettings settings, bool owner, IReadOnlyList<string> arguments, IProgress<string> progress, CancellationToken stop)
    {
        await using var database = await Database.OpenAsync(settings, progress, stop);
        var target = new NpgsqlConnectionStringBuilder(owner ? database.Owner : database.App);
        var psql = database.Local?.Programs["psql"] is { } ours && File.Exists(ours) ? ours : ChildProcess.OnPath("psql")
            ?? throw new CommandException(ExitCode.PostgresMissing, "psql is not installed (package postgresql-client).");

        var start = new ProcessStartInfo(psql, arguments);
        start.Environment["PGHOST"] = target.Host;
        start.Environment["PGPORT"] = target.Port.ToString(CultureInfo.InvariantCulture);
        start.Environment["PGUSER"] = target.Username;
        start.Environment["PGPASSWORD"] = target.Password;
        start.Environment["PGDATABASE"] = target.Database;
        using var process = Process.Start(start)!;
        // The terminal sends Ctrl-C to psql too, which cancels its query and goes on.
        using var ignored = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal => signal.Cancel = true);
        try
        {
            await process.WaitForExitAsync(stop);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
        }

        return process.ExitCode;
    }
}
