using System.Diagnostics;
using System.Globalization;
using Bank.Benchmarks.Measuring;
using Bank.Host;

namespace Bank.Benchmarks.Parties;

/// <summary>
/// The generator of HTTP load from Debian's package: deposits over HTTP/1.1, each connection sends its next request when the last one was
/// answered. One thread for each address.
/// </summary>
internal sealed class Wrk : IDisposable
{
    private const string Program = "wrk";

    // Requests are made up before the load begins; what is not 200 is counted by wrk itself.
    private static readonly string Script =
        $$"""
        local requests = {}
        init = function(args)
            math.randomseed(os.time())
            for account in io.lines(args[1]) do
                requests[#requests + 1] = wrk.format("POST", "/api/v1/accounts/" .. account .. "/deposit",
                    { ["Content-Type"] = "application/json" }, '{{BankOverHttp.Body}}')
            end
        end
        request = function() return requests[math.random(#requests)] end
        done = function(summary, latency)
            local e = summary.errors
            io.write(string.format("done %d %d %d %d %d %d %d\n", summary.requests, summary.duration, e.status,
                e.connect + e.read + e.write + e.timeout,
                latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
        end
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("bank-bench-").FullName;

    /// <param name="accounts">To which of them is chance.</param>
    public Wrk(IEnumerable<string> accounts)
    {
        File.WriteAllText(Path.Combine(_folder, "deposit.lua"), Script);
        File.WriteAllLines(Path.Combine(_folder, "accounts"), accounts);
    }

    /// <summary>What a load has met: latencies in milliseconds, of the slower address where there are several.</summary>
    public sealed record Result(long Requests, double PerSecond, double P50, double P99, double P999, TimeSpan Processor);

    /// <summary>Whether wrk is there.</summary>
    public static bool IsPossible => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Any(folder => File.Exists(Path.Combine(folder, Program)));

    /// <exception cref="CommandException">It is not there.</exception>
    public static void Require()
    {
        if (!IsPossible)
            throw new CommandException(ExitCode.Failed, "wrk is missing. On Debian: apt-get install wrk");
    }

    /// <summary>Deposits over so many connections, shared by the addresses; at least for a second.</summary>
    public async Task<Result> RunAsync(
        IReadOnlyCollection<Uri> addresses, int connections, TimeSpan time, CancellationToken cancellation)
    {
        var before = ProcessorTime.OfEndedChildren();
        var results = await Task.WhenAll(
            addresses.Select(address => OneAsync(address, connections / addresses.Count, time, cancellation)));
        return new(
            results.Sum(result => result.Requests), results.Sum(result => result.PerSecond),
            results.Max(result => result.P50), results.Max(result => result.P99), results.Max(result => result.P999),
            ProcessorTime.OfEndedChildren() - before);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private async Task<Result> OneAsync(Uri address, int connections, TimeSpan time, CancellationToken cancellation)
    {
        var seconds = Math.Max(1, (int)Math.Round(time.TotalSeconds));
        using var process = Process.Start(new ProcessStartInfo(
            Program,
            [
                "--threads", "1", "--connections", $"{connections}", "--duration", $"{seconds}s", "--timeout", "30s",
                "--script", Path.Combine(_folder, "deposit.lua"), address.ToString(), "--", Path.Combine(_folder, "accounts"),
            ])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        try
        {
            var (output, error) = (process.StandardOutput.ReadToEndAsync(cancellation), process.StandardError.ReadToEndAsync(cancellation));
            await process.WaitForExitAsync(cancellation);
            if (process.ExitCode != 0)
                throw new InvalidOperationException($"wrk ended with {process.ExitCode}: {await output}{await error}");
            var line = (await output).Split('\n').Single(line => line.StartsWith("done ", StringComparison.Ordinal));
            var numbers = line.Split(' ').Skip(1).Select(text => double.Parse(text, CultureInfo.InvariantCulture)).ToList();
            return numbers[2] + numbers[3] > 0
                ? throw new InvalidOperationException($"Deposits over HTTP were refused or lost: {await output}")
                : new(
                    (long)numbers[0], numbers[0] / (numbers[1] / 1e6), numbers[4] / 1e3, numbers[5] / 1e3, numbers[6] / 1e3, default);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }
    }
}
