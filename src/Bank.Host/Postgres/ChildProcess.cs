using System.Diagnostics;

namespace Bank.Host.Postgres;

/// <summary>Runs a program to its end and keeps what it printed.</summary>
internal static class ChildProcess
{
    public sealed record Ended(int ExitCode, string Output)
    {
        public bool Succeeded => ExitCode == 0;
    }

    public static async Task<Ended> RunAsync(
        string program, IEnumerable<string> arguments, CancellationToken cancellation, string? input = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            // The unprivileged user may not be able to enter the caller's directory.
            WorkingDirectory = "/",
        };
        start.Environment["LC_ALL"] = "C";
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start.");
        var output = process.StandardOutput.ReadToEndAsync(cancellation);
        var error = process.StandardError.ReadToEndAsync(cancellation);
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        try
        {
            await process.WaitForExitAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            // Not its children: the server that pg_ctl has started is stopped in good order by whoever gave up.
            process.Kill();
            throw;
        }

        return new(process.ExitCode, (await output + await error).Trim());
    }

    /// <summary>The full path of a program on PATH; null when there is none.</summary>
    public static string? OnPath(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .Concat(["/usr/sbin", "/sbin"])
        .Select(directory => Path.Combine(directory, program))
        .FirstOrDefault(File.Exists);
}
