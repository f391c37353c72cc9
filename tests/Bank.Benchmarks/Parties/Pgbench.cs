using System.Diagnostics;
using System.Globalization;

namespace Bank.Benchmarks.Parties;

/// <summary>PostgreSQL's own load generator.</summary>
internal static class Pgbench
{
    /// <summary>Runs it for so many seconds, or longer where the machine is so busy that its clients do not connect in that time.</summary>
    /// <returns>Transactions per second, without the time that connecting took.</returns>
    public static async Task<double> RunAsync(Func<int, ProcessStartInfo> start, int seconds, CancellationToken cancellation)
    {
        while (true)
        {
            if (await RunAsync(start(seconds), cancellation) is { } rate)
                return rate;
            seconds *= 2;
        }
    }

    private static async Task<double?> RunAsync(ProcessStartInfo start, CancellationToken cancellation)
    {
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{start.FileName} did not start.");
        var output = process.StandardOutput.ReadToEndAsync(CancellationToken.None);
        var error = process.StandardError.ReadToEndAsync(CancellationToken.None);
        try
        {
            await process.WaitForExitAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }

        // "tps = 4567.890123 (without initial connection time)"
        var tps = (await output).Split('\n').FirstOrDefault(line => line.StartsWith("tps = ", StringComparison.Ordinal));
        return process.ExitCode == 0
            ? tps is null ? null : double.Parse(tps.Split(' ')[2], CultureInfo.InvariantCulture)
            : throw new InvalidOperationException($"pgbench ended with {process.ExitCode}: {await error}");
    }
}
