using System.Diagnostics;
using Bank.Benchmarks.Measuring;
using Bank.Testing;
using Npgsql;

namespace Bank.Benchmarks;

/// <summary>Scenarios one after the other, each with a server of its own unless they are in a hurry.</summary>
internal static class Run
{
    private static readonly string[] Reported =
        ["server_version", "fsync", "full_page_writes", "synchronous_commit", "shared_buffers", "max_wal_size", "wal_compression"];

    public static async Task<Report> AllAsync(
        IReadOnlyList<Scenario> scenarios, Pace pace, TextWriter output, CancellationToken cancellation)
    {
        var (startedAt, machine) = (TimeProvider.System.GetUtcNow(), Machine.Here);
        var progress = new ProgressLine(output);
        var reports = new List<ScenarioReport>();
        // To make and migrate one takes longer than most scenarios of a quick run, which measures nothing that they could spoil.
        await using var shared = pace.IsQuick ? await StartAsync(progress) : null;
        foreach (var scenario in scenarios)
        {
            var comparison = new Comparison(scenario.Name, pace, progress);
            await using var own = shared is null ? await StartAsync(progress) : null;
            var postgres = own ?? shared!;
            var settings = await SettingsOfAsync(postgres, cancellation);
            await scenario.MeasureAsync(comparison, postgres, cancellation);
            // What has ended keeps its connections in their pools, on a server that others share with it.
            NpgsqlConnection.ClearAllPools();
            progress.Clear();
            var report = new ScenarioReport(scenario.Name, scenario.About, settings, comparison.Figures, comparison.Notes);
            reports.Add(report);
            await output.WriteLineAsync($"\n{report.Name}: {report.About}\n{report.ToTable()}");
            foreach (var note in report.Notes)
                await output.WriteLineAsync($"  {note}");
        }

        return new(startedAt, machine, Report.VersionsNow, await CommitAsync(cancellation), Settings.Of(pace), reports);
    }

    private static async Task<UnshakenPostgres> StartAsync(ProgressLine progress)
    {
        progress.Report("starting PostgreSQL");
        var postgres = new UnshakenPostgres();
        await postgres.InitializeAsync();
        return postgres;
    }

    private static async Task<IReadOnlyDictionary<string, string>> SettingsOfAsync(
        UnshakenPostgres postgres, CancellationToken cancellation)
    {
        await using var superuser = NpgsqlDataSource.Create(postgres.Server.SuperuserConnectionString + ";Pooling=false");
        await using var command = superuser.CreateCommand("SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY ($1)");
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = Reported });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var settings = new Dictionary<string, string>();
        while (await reader.ReadAsync(cancellation))
            settings.Add(reader.GetString(0), reader.GetString(1));
        return settings;
    }

    private static async Task<string> CommitAsync(CancellationToken cancellation)
    {
        try
        {
            using var git = Process.Start(new ProcessStartInfo("git", ["describe", "--always", "--dirty", "--abbrev=40"])
            {
                WorkingDirectory = AppContext.BaseDirectory,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            var commit = await git.StandardOutput.ReadToEndAsync(cancellation);
            await git.WaitForExitAsync(cancellation);
            return git.ExitCode == 0 ? commit.Trim() : "unknown";
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return "unknown"; // no git here
        }
    }

    // One line that changes on a terminal; where the output goes to a file, a line each time.
    private sealed class ProgressLine(TextWriter output) : IProgress<string>
    {
        private readonly bool _terminal = !Console.IsOutputRedirected;
        private int _width;

        public void Report(string value)
        {
            output.Write(_terminal ? $"\r{value.PadRight(_width)}" : $"bank: {value}\n");
            output.Flush();
            _width = value.Length;
        }

        public void Clear()
        {
            if (_terminal)
                output.Write($"\r{new string(' ', _width)}\r");
        }
    }
}
