using System.Net;
using System.Net.Sockets;
using Bank.Contracts;
using Bank.Host.Cluster;
using Bank.Host.Postgres;
using Bank.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Orleans.Configuration;
using Orleans.Hosting;
using Orleans.Runtime;
using Xunit;

namespace Bank.Cluster.Tests.Processes;

/// <summary><c>./bank cluster</c>: three silos and two gateways, as processes, with a database of their own that flushes.</summary>
public sealed class LocalCluster : IAsyncLifetime
{
    /// <summary>For what takes seconds, on a machine that does something else too.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(180);

    private readonly string _directory = Path.Combine(Path.GetTempPath(), $"bank-{Guid.NewGuid():n}");
    private BankProcess? _process;

    /// <summary>Where the gateways answer.</summary>
    public IReadOnlyList<Uri> Gateways { get; } = TwoPorts();

    /// <summary>Its data directory, by which its commands find it.</summary>
    public string Directory => _directory;

    /// <summary>Where its processes write what they trace.</summary>
    public string Traces => Path.Combine(_directory, "traces");

    /// <summary>What it has printed.</summary>
    public string Output => _process!.Output;

    /// <summary>As <c>bank_app</c>.</summary>
    public string Database { get; private set; } = "";

    public async ValueTask InitializeAsync()
    {
        try
        {
            _process = BankProcess.Start(
                ["cluster", "--silos", "3", "--gateways", "2", "--port", $"{Gateways[0].Port}", "--drain-delay", "3"],
                new Dictionary<string, string?>(Environs) { ["Telemetry__TracesFolder"] = Traces });
            await _process.SaysAsync("the cluster is open: ");
            Database = (await LocalPostgres.AtAsync(_directory, CancellationToken.None)).AppConnectionString;
        }
        catch (Exception e)
        {
            var logs = Logs();
            await DisposeAsync();
            throw new InvalidOperationException($"The cluster did not open: {e.Message}\n{logs}", e);
        }
    }

    /// <summary>What its members have said last.</summary>
    public string Logs() => string.Concat(System.IO.Directory.EnumerateFiles(_directory, "*.log", SearchOption.AllDirectories).Order()
        .Select(file => $"{Path.GetFileName(file)}:\n{string.Concat(File.ReadLines(file).TakeLast(60).Select(line => $"  {line}\n"))}"));

    internal async Task<IReadOnlyList<MemberReport>> MembersAsync() =>
        await ClusterControl.AskAsync<MemberReport[]>(_directory, HttpMethod.Get, "/members", CancellationToken.None);

    /// <summary>Does something to a member, without the process that a command line takes: the moment is what is measured.</summary>
    internal Task<MemberReport> ActAsync(string act, string role, int index) =>
        ClusterControl.AskAsync<MemberReport>(_directory, HttpMethod.Post, $"/members/{role}/{index}/{act}", CancellationToken.None);

    /// <summary>Runs <c>./bank cluster ...</c> to its end.</summary>
    public async Task<string> CommandAsync(params string[] arguments)
    {
        var (exitCode, output) = await BankProcess.RunAsync(["cluster", .. arguments], Environs, within: 2 * Patience);
        Assert.True(exitCode == 0, $"./bank cluster {string.Join(' ', arguments)} ended with {exitCode}:\n{output}");
        return output;
    }

    /// <summary>Starts what is dead, and waits until every member is ready.</summary>
    public async Task WholeAsync()
    {
        foreach (var member in await MembersAsync())
            if (member.State == "dead")
                await ActAsync("start", member.Role, member.Index);
        await Eventually.UntilAsync(
            "every member is ready", MembersAsync, members => members.All(member => member.State == "ready"), Patience);
    }

    /// <summary>Of each account that is active, the number of the silo that has it.</summary>
    public async Task<IReadOnlyDictionary<Guid, int>> WhereAccountsAreAsync()
    {
        var orleans = new NpgsqlConnectionStringBuilder(Database) { SearchPath = "orleans" }.ConnectionString;
        var builder = Microsoft.Extensions.Hosting.Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.UseOrleansClient(client => client
            .Configure<ClusterOptions>(o => (o.ClusterId, o.ServiceId) = ("bank", "bank"))
            .UseAdoNetClustering(o => (o.Invariant, o.ConnectionString) = (OrleansDatabase.Invariant, orleans)));
        using var client = builder.Build();
        await client.StartAsync(CancellationToken.None);
        var grains = client.Services.GetRequiredService<IGrainFactory>();
        var account = grains.GetGrain<IBankAccountGrain>(Guid.Empty).GetGrainId().Type;
        var active = await grains.GetGrain<IManagementGrain>(0).GetDetailedGrainStatistics();
        await client.StopAsync(CancellationToken.None);

        var silos = new Dictionary<int, int>();
        await using var source = NpgsqlDataSource.Create(orleans);
        await using var command = source.CreateCommand("SELECT port, silo_name FROM members WHERE status = 3");
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
            silos.Add(reader.GetInt32(0), int.Parse(reader.GetString(1).Split('-')[1], System.Globalization.CultureInfo.InvariantCulture));
        return active.Where(a => a.GrainId.Type == account).ToDictionary(
            a => a.GrainId.GetGuidKey(), a => silos[a.SiloAddress.Endpoint.Port]);
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            _process.Terminate();
            await _process.EndAsync();
            await _process.DisposeAsync();
            _process = null;
        }

        NpgsqlConnection.ClearAllPools();
        if (LocalPostgres.ProcessOf(_directory) is not null)
            await (await LocalPostgres.AtAsync(_directory, CancellationToken.None)).KillAsync(CancellationToken.None);
        if (System.IO.Directory.Exists(_directory))
            System.IO.Directory.Delete(_directory, recursive: true);
    }

    private Dictionary<string, string?> Environs => new() { ["BANK_DATA_DIR"] = _directory };

    // The second gateway takes the port above the first one's.
    private static List<Uri> TwoPorts()
    {
        while (true)
        {
            using var first = new TcpListener(IPAddress.Loopback, 0);
            first.Start();
            var port = ((IPEndPoint)first.LocalEndpoint).Port;
            try
            {
                using var second = new TcpListener(IPAddress.Loopback, port + 1);
                second.Start();
                return [new($"http://127.0.0.1:{port}"), new($"http://127.0.0.1:{port + 1}")];
            }
            catch (SocketException)
            {
                // Taken; the next one.
            }
        }
    }
}
