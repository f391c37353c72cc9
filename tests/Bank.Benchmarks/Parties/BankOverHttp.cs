using System.Net.Http.Json;
using System.Text.Json;
using Bank.Benchmarks.Measuring;
using Bank.Host;
using Bank.Host.Postgres;
using Bank.Testing;
using Npgsql;
using Orleans.EventSourcing.Postgres;

namespace Bank.Benchmarks.Parties;

/// <summary>The product as it is shipped, as processes of <c>./bank up</c>: one that is everything, or silos and gateways.</summary>
internal sealed class BankOverHttp : IAsyncDisposable
{
    // All of a scenario's processes find room on a server with 300 connections; members have what ./bank cluster gives them.
    private const int Pool = 40;
    private const int PoolOfMember = 8;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private readonly HttpClient _client = new();
    private readonly List<BankProcess> _silos = [];
    private readonly List<BankProcess> _gateways = [];
    private readonly NpgsqlDataSource _database;
    private readonly UnshakenPostgres _postgres;
    private readonly Pace _pace;
    private Wrk? _wrk;

    private BankOverHttp(UnshakenPostgres postgres, TestDatabase database, Pace pace)
    {
        (_postgres, _pace) = (postgres, pace);
        _database = NpgsqlDataSource.Create(database.App + ";Maximum Pool Size=2");
    }

    /// <summary>What a deposit says.</summary>
    public static string Body => $$"""{"amount":"{{Payload.Amount}}","description":"{{Payload.Description}}"}""";

    /// <summary>The process that is everything, or the first silo.</summary>
    public int ProcessId => _silos[0].Id;

    /// <summary>Of the first gateway.</summary>
    public Uri Address => Gateways[0].Address;

    public IReadOnlyList<string> Accounts { get; private set; } = [];

    // The one that is everything is its own gateway.
    private List<BankProcess> Gateways => _gateways.Count > 0 ? _gateways : _silos;

    /// <summary>Starts one process with all roles, on a database of its own, and opens accounts.</summary>
    public static async Task<BankOverHttp> StartAsync(
        UnshakenPostgres postgres, Comparison comparison, CancellationToken cancellation, params (string Name, string Value)[] settings) =>
        await StartAsync(postgres, await postgres.CreateDatabaseAsync(), comparison, cancellation, settings);

    /// <summary>Starts one process with all roles, and opens accounts.</summary>
    public static Task<BankOverHttp> StartAsync(
        UnshakenPostgres postgres, TestDatabase database, Comparison comparison, CancellationToken cancellation,
        params (string Name, string Value)[] settings) => StartAsync(
            postgres, database, comparison,
            bank => bank.OpenAsync(bank._silos, 1, ["up"], new Dictionary<string, string?>
            {
                ["ConnectionStrings__Bank"] = $"{database.App};Maximum Pool Size={Pool}",
                ["ConnectionStrings__BankOwner"] = database.Owner,
            }.Concat(settings.Select(setting => KeyValuePair.Create(setting.Name, (string?)setting.Value)))),
            cancellation);

    /// <summary>Starts silos and gateways on a database of their own, and opens accounts.</summary>
    public static async Task<BankOverHttp> StartClusterAsync(
        UnshakenPostgres postgres, int silos, int gateways, Comparison comparison, CancellationToken cancellation)
    {
        var database = await postgres.CreateDatabaseAsync();
        return await StartAsync(postgres, database, comparison, OpenAsync, cancellation);

        async Task OpenAsync(BankOverHttp bank)
        {
            var environment = new Dictionary<string, string?>
            {
                ["ConnectionStrings__Bank"] = $"{database.App};Maximum Pool Size={PoolOfMember}",
                // They are frozen while others have their turn, and nobody is to be declared dead for that.
                ["Orleans__Membership__ProbeTimeout"] = "00:01:00",
                ["Orleans__Membership__MaxProbeTimeout"] = "00:01:00",
            };
            await bank.OpenAsync(bank._silos, silos, ["up", "--role", "silo"], environment);
            await bank.OpenAsync(bank._gateways, gateways, ["up", "--role", "gateway"], environment);
        }
    }

    private static async Task<BankOverHttp> StartAsync(
        UnshakenPostgres postgres, TestDatabase database, Comparison comparison, Func<BankOverHttp, Task> open,
        CancellationToken cancellation)
    {
        comparison.Say("starting the product and opening accounts");
        var bank = new BankOverHttp(postgres, database, comparison.Pace);
        try
        {
            await open(bank);
            await bank.OpenAccountsAsync(cancellation);
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
        var before = ProcessorTime.Of(ProcessId);
        var load = await _wrk!.RunAsync([Address], connections, time, cancellation);
        return
        [
            new(name, load.PerSecond, "requests/s"),
            new($"{name}, p50", load.P50, "ms"),
            new($"{name}, p99", load.P99, "ms"),
            new($"{name}, p99.9", load.P999, "ms"),
            new($"{name}, processor, host", (ProcessorTime.Of(ProcessId) - before).TotalMicroseconds / load.Requests, "us"),
            new($"{name}, processor, wrk", load.Processor.TotalMicroseconds / load.Requests, "us"),
        ];
    });

    /// <summary>
    /// Deposits through two addresses, while nobody else runs: its processes are frozen until their next turn when their read models have
    /// caught up, so that each pays for all of its own work and for nobody else's.
    /// </summary>
    /// <param name="name">Of the party.</param>
    /// <param name="connections">In all.</param>
    /// <param name="meanwhile">What else happens to it while it has its turn, until told to stop.</param>
    public Party Alone(string name, int connections, Func<CancellationToken, Task>? meanwhile = null) => new(
        name,
        async (time, cancellation) =>
        {
            await ThawAsync();
            Uri[] addresses = [Gateways[0].Address, Gateways[^1].Address];
            if (!_pace.IsQuick)
                await _wrk!.RunAsync(addresses, connections, TimeSpan.FromSeconds(1), cancellation);
            await CaughtUpAsync();

            using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            var (began, before) = (TimeProvider.System.GetTimestamp(), Read());
            var other = meanwhile?.Invoke(enough.Token) ?? Task.CompletedTask;
            var load = await _wrk!.RunAsync(addresses, connections, time, cancellation);
            await CaughtUpAsync();
            var (took, after) = (TimeProvider.System.GetElapsedTime(began), Read());
            await enough.CancelAsync();
            await other;
            Freeze();
            return
            [
                new(name, load.PerSecond, "requests/s"),
                new($"{name}, until read models have it", load.Requests / took.TotalSeconds, "requests/s"),
                new($"{name}, p50", load.P50, "ms"),
                new($"{name}, p99", load.P99, "ms"),
                Processor(_gateways.Count > 0 ? "silos" : "host", after.Silos - before.Silos),
                .. _gateways.Count > 0 ? (Sample[])[Processor("gateways", after.Gateways - before.Gateways)] : [],
                Processor("PostgreSQL", after.Postgres - before.Postgres),
                Processor("wrk", load.Processor),
            ];

            Sample Processor(string whose, TimeSpan spent) =>
                new($"{name}, processor, {whose}", spent.TotalMicroseconds / load.Requests, "us");
        });

    /// <summary>One deposit.</summary>
    public static HttpRequestMessage Deposit(string account) => new(HttpMethod.Post, $"/api/v1/accounts/{account}/deposit")
    {
        Content = new StringContent(Body, System.Text.Encoding.UTF8, "application/json"),
    };

    /// <summary>Stops all of its processes where they are.</summary>
    public void Freeze() => Send(Signals.Freeze);

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _gateways.Concat(_silos))
            await process.DisposeAsync();
        _wrk?.Dispose();
        _client.Dispose();
        await _database.DisposeAsync();
    }

    private (TimeSpan Silos, TimeSpan Gateways, TimeSpan Postgres) Read() => (
        Sum(_silos), Sum(_gateways), ProcessorTime.OfFamily(_postgres.Server.ProcessId!.Value));

    private static TimeSpan Sum(IEnumerable<BankProcess> processes) =>
        processes.Aggregate(TimeSpan.Zero, (sum, process) => sum + ProcessorTime.Of(process.Id));

    private async Task ThawAsync()
    {
        Send(Signals.Thaw);
        foreach (var gateway in Gateways)
            await Eventually.UntilAsync(
                $"{gateway.Address} takes commands, which it does not as soon as it is thawed",
                async () =>
                {
                    using var deposit = Deposit(Accounts[0]);
                    deposit.RequestUri = new Uri(gateway.Address, deposit.RequestUri!);
                    using var answer = await _client.SendAsync(deposit);
                    return (answer.IsSuccessStatusCode, (object?)await answer.Content.ReadAsStringAsync());
                },
                Patience);
    }

    private async Task CaughtUpAsync() => await Eventually.UntilAsync(
        "the read models have caught up",
        () => new ProjectionStatusReader(_database).ReadAsync(CancellationToken.None),
        all => all.Count > 0 && all.All(projection => projection.LagEvents == 0),
        Patience);

    private void Send(int signal)
    {
        foreach (var process in _gateways.Concat(_silos))
            if (!Signals.Send(process.Id, signal))
                throw new InvalidOperationException($"A process of the bank has ended: {process.Output}");
    }

    private async Task OpenAsync(
        List<BankProcess> members, int count, string[] command, IEnumerable<KeyValuePair<string, string?>> environment)
    {
        for (var n = 0; n < count; n++)
            members.Add(BankProcess.Start(command, new Dictionary<string, string?>(environment)
            {
                ["Orleans__Endpoints__SiloPort"] = $"{Ports.PreferredOrFree(0)}",
                ["Orleans__Endpoints__GatewayPort"] = $"{Ports.PreferredOrFree(0)}",
            }));
        foreach (var member in members)
            await member.OpenAsync();
    }

    private async Task OpenAccountsAsync(CancellationToken cancellation)
    {
        var opened = new string[_pace.Accounts];
        await Parallel.ForAsync(0, opened.Length, new ParallelOptions { MaxDegreeOfParallelism = 100, CancellationToken = cancellation },
            async (n, stop) =>
            {
                using var response = await _client.PostAsJsonAsync(
                    new Uri(Address, "/api/v1/accounts"), new { owner_name = "Ada Lovelace", initial_deposit = "1000.00" }, stop);
                response.EnsureSuccessStatusCode();
                var answer = await response.Content.ReadFromJsonAsync<JsonElement>(stop);
                opened[n] = answer.GetProperty("account_id").GetString()!;
            });
        Accounts = opened;
        if (Wrk.IsPossible)
            _wrk = new(opened);
    }
}
