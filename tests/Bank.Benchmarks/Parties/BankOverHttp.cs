using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using Bank.Benchmarks.Measuring;
using Bank.Testing;

namespace Bank.Benchmarks.Parties;

/// <summary>
/// The product as it is shipped, one process of <c>./bank up</c>, and deposits over HTTP/1.1 through wrk: each connection sends its next
/// request when the last one was answered.
/// </summary>
internal sealed class BankOverHttp : IAsyncDisposable
{
    private const string Wrk = "wrk";

    // Requests are made up before the load begins; what is not 200 is counted by wrk itself.
    private static readonly string Script =
        $$"""
        local requests = {}
        init = function(args)
            math.randomseed(os.time())
            for account in io.lines(args[1]) do
                requests[#requests + 1] = wrk.format("POST", "/api/v1/accounts/" .. account .. "/deposit",
                    { ["Content-Type"] = "application/json" }, '{{Body}}')
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

    private readonly BankProcess _host;
    private readonly string _folder = Directory.CreateTempSubdirectory("bank-bench-").FullName;

    private BankOverHttp(BankProcess host) => _host = host;

    private static string Body => $$"""{"amount":"{{Payload.Amount}}","description":"{{Payload.Description}}"}""";

    public int ProcessId => _host.Id;

    public Uri Address => _host.Address;

    public IReadOnlyList<string> Accounts { get; private set; } = [];

    /// <summary>Starts it on a database of its own and opens accounts.</summary>
    public static async Task<BankOverHttp> StartAsync(
        UnshakenPostgres postgres, Comparison comparison, CancellationToken cancellation, params (string Name, string Value)[] settings) =>
        await StartAsync(await postgres.CreateDatabaseAsync(), comparison, cancellation, settings);

    /// <summary>Starts it and opens accounts.</summary>
    public static async Task<BankOverHttp> StartAsync(
        TestDatabase database, Comparison comparison, CancellationToken cancellation, params (string Name, string Value)[] settings)
    {
        comparison.Say("starting the product and opening accounts");
        var environment = new Dictionary<string, string?>
        {
            ["ConnectionStrings__Bank"] = database.App,
            ["ConnectionStrings__BankOwner"] = database.Owner,
        };
        foreach (var (name, value) in settings)
            environment[name] = value;
        var bank = new BankOverHttp(BankProcess.Start(["up"], environment));
        try
        {
            await bank._host.OpenAsync();
            await bank.OpenAccountsAsync(comparison.Pace.Accounts, cancellation);
            return bank;
        }
        catch
        {
            await bank.DisposeAsync();
            throw;
        }
    }

    /// <summary>Deposits over so many connections.</summary>
    public Party Connections(string name, int connections) => new(name, async (time, cancellation) =>
    {
        var seconds = Math.Max(1, (int)Math.Round(time.TotalSeconds));
        using var host = Process.GetProcessById(_host.Id);
        var before = host.TotalProcessorTime;
        var (output, generator) = await RunAsync(
            [
                "--threads", "1", "--connections", $"{connections}", "--duration", $"{seconds}s", "--timeout", "30s",
                "--script", Path.Combine(_folder, "deposit.lua"), Address.ToString(), "--", Path.Combine(_folder, "accounts"),
            ],
            cancellation);
        host.Refresh();
        var line = output.Split('\n').Single(line => line.StartsWith("done ", StringComparison.Ordinal));
        var numbers = line.Split(' ').Skip(1).Select(text => double.Parse(text, CultureInfo.InvariantCulture)).ToList();
        if (numbers[2] + numbers[3] > 0)
            throw new InvalidOperationException($"Deposits over HTTP were refused or lost: {output}");
        return
        [
            new(name, numbers[0] / (numbers[1] / 1e6), "requests/s"),
            new($"{name}, p50", numbers[4] / 1e3, "ms"),
            new($"{name}, p99", numbers[5] / 1e3, "ms"),
            new($"{name}, p99.9", numbers[6] / 1e3, "ms"),
            new($"{name}, processor, host", (host.TotalProcessorTime - before).TotalMicroseconds / numbers[0], "us"),
            new($"{name}, processor, wrk", generator.TotalMicroseconds / numbers[0], "us"),
        ];
    });

    /// <summary>One deposit.</summary>
    public static HttpRequestMessage Deposit(string account) => new(HttpMethod.Post, $"/api/v1/accounts/{account}/deposit")
    {
        Content = new StringContent(Body, System.Text.Encoding.UTF8, "application/json"),
    };

    /// <summary>Whether wrk is there.</summary>
    public static bool IsPossible => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Any(folder => File.Exists(Path.Combine(folder, Wrk)));

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task OpenAccountsAsync(int accounts, CancellationToken cancellation)
    {
        using var client = new HttpClient { BaseAddress = Address };
        var opened = new string[accounts];
        await Parallel.ForAsync(0, accounts, new ParallelOptions { MaxDegreeOfParallelism = 100, CancellationToken = cancellation },
            async (n, stop) =>
            {
                using var response = await client.PostAsJsonAsync(
                    "/api/v1/accounts", new { owner_name = "Ada Lovelace", initial_deposit = "1000.00" }, stop);
                response.EnsureSuccessStatusCode();
                var answer = await response.Content.ReadFromJsonAsync<JsonElement>(stop);
                opened[n] = answer.GetProperty("account_id").GetString()!;
            });
        Accounts = opened;
        await File.WriteAllTextAsync(Path.Combine(_folder, "deposit.lua"), Script, cancellation);
        await File.WriteAllLinesAsync(Path.Combine(_folder, "accounts"), opened, cancellation);
    }

    private static async Task<(string Output, TimeSpan Processor)> RunAsync(string[] arguments, CancellationToken cancellation)
    {
        var before = ProcessorTimeOfEndedChildren();
        using var process = Process.Start(new ProcessStartInfo(Wrk, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        try
        {
            var (output, error) = (process.StandardOutput.ReadToEndAsync(cancellation), process.StandardError.ReadToEndAsync(cancellation));
            await process.WaitForExitAsync(cancellation);
            return process.ExitCode == 0
                ? (await output, ProcessorTimeOfEndedChildren() - before)
                : throw new InvalidOperationException($"wrk ended with {process.ExitCode}: {await output}{await error}");
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }
    }

    // A process that has ended cannot be asked any more.
    private static TimeSpan ProcessorTimeOfEndedChildren()
    {
        var stat = File.ReadAllText("/proc/self/stat");
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return TimeSpan.FromMilliseconds(10 * fields[13..15].Sum(field => long.Parse(field, CultureInfo.InvariantCulture)));
    }
}
