using System.Net;
using System.Net.Sockets;
using Bank.Host.Postgres;
using Bank.Testing;
using Npgsql;
using Xunit;

namespace Bank.Cluster.Tests.Faults;

/// <summary>A bank of its own, on one address for all its lives, with the private database that it looks after.</summary>
public sealed class MortalBank : IAsyncLifetime
{
    private readonly string _directory = Path.Combine(Path.GetTempPath(), $"bank-{Guid.NewGuid():n}");
    private BankProcess? _process;

    public Uri Address { get; } = new($"http://127.0.0.1:{FreePort()}");

    public async ValueTask InitializeAsync()
    {
        try
        {
            await StartAsync();
        }
        catch
        {
            await DisposeAsync();
            throw;
        }
    }

    public async Task StartAsync()
    {
        _process = BankProcess.Start(["up"], new Dictionary<string, string?>
        {
            ["BANK_DATA_DIR"] = _directory,
            ["ASPNETCORE_URLS"] = Address.GetLeftPart(UriPartial.Authority),
        });
        await _process.OpenAsync();
    }

    /// <summary>kill -9 of the host; its database goes on.</summary>
    public async Task KillHostAsync()
    {
        _process!.Kill();
        await _process.EndAsync();
        await _process.DisposeAsync();
    }

    /// <summary>As a test sees the private server: to kill it, to stop it, to connect.</summary>
    public Task<LocalPostgres> PostgresAsync() => LocalPostgres.AtAsync(_directory, CancellationToken.None);

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
        NpgsqlConnection.ClearAllPools();
        if (LocalPostgres.ProcessOf(_directory) is not null)
            await (await PostgresAsync()).KillAsync(CancellationToken.None);
        if (Directory.Exists(_directory))
            Directory.Delete(_directory, recursive: true);
    }

    internal static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}

/// <summary>
/// Processes die while 64 clients work. Nothing that was acknowledged is lost, nothing is done twice, and service resumes although
/// nobody restarts anything but the host.
/// </summary>
public sealed class DeathTests(MortalBank bank) : IClassFixture<MortalBank>
{
    private const int Workers = 64;
    private const int EnoughCommands = 200;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    [Fact]
    public Task Host_and_database_are_killed_together() => SurviveAsync(async () =>
    {
        var postgres = await bank.PostgresAsync();
        await Task.WhenAll(bank.KillHostAsync(), postgres.KillAsync(CancellationToken.None));
        await bank.StartAsync();
    });

    [Fact]
    public Task The_host_is_killed() => SurviveAsync(async () =>
    {
        await bank.KillHostAsync();
        await bank.StartAsync();
    });

    [Fact]
    public Task The_database_is_killed() => SurviveAsync(async () => await (await bank.PostgresAsync()).KillAsync(CancellationToken.None));

    [Fact]
    public Task The_database_is_stopped_at_once() => SurviveAsync(
        async () => await (await bank.PostgresAsync()).StopImmediatelyAsync(CancellationToken.None));

    [Fact]
    public Task The_writer_loses_its_connection_all_the_time() => SurviveAsync(async () =>
    {
        await using var superuser = NpgsqlDataSource.Create((await bank.PostgresAsync()).SuperuserConnectionString);
        var terminated = 0L;
        for (var i = 0; i < 20; i++)
        {
            await using var terminate = superuser.CreateCommand(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'journal appends'");
            terminated += (long)(await terminate.ExecuteScalarAsync())!;
            // The fault itself: one death every 200 ms.
            await Task.Delay(200);
        }

        Assert.True(terminated > 3, $"{terminated} connections were there to terminate");
    });

    private async Task SurviveAsync(Func<Task> dieAsync)
    {
        using var clients = new Clients(bank.Address);
        await clients.OpenAsync();
        using var stop = new CancellationTokenSource();
        var working = clients.RunAsync(Workers, stop.Token);
        try
        {
            await AcknowledgedAsync(clients, EnoughCommands);
            await dieAsync();
            await AcknowledgedAsync(clients, clients.Acknowledged + EnoughCommands);
        }
        finally
        {
            await stop.CancelAsync();
        }

        await working.WaitAsync(Patience);
        await clients.AuditAsync((await bank.PostgresAsync()).AppConnectionString);
    }

    private static async Task AcknowledgedAsync(Clients clients, int count) => await Eventually.UntilAsync(
        $"{count} commands have been acknowledged",
        () => Task.FromResult((clients.Acknowledged >= count, (object?)$"{clients.Acknowledged}, {string.Join(", ", clients.Problems)}")),
        Patience);
}
