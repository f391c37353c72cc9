using System.Diagnostics;
using System.Globalization;

namespace Bank.Benchmarks.Parties;

/// <summary>PostgreSQL's own load generator.</summary>
internal static class Pgbench
{
    /// <returns>Transactions per second, without the time that connecting took.</returns>
    public static async Task<double> RunAsync(ProcessStartInfo start, CancellationToken cancellation)
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
        return process.ExitCode == 0 && tps is not null
            ? double.Parse(tps.Split(' ')[2], CultureInfo.InvariantCulture)
            : throw new InvalidOperationException($"pgbench ended with {process.ExitCode}: {await error}");
    }
}
