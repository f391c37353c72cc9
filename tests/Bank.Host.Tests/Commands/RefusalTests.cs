using System.Net;
using System.Net.Sockets;
using System.Text;
using Bank.Testing;
using Xunit;

namespace Bank.Host.Tests.Commands;

public sealed class RefusalTests(PrivatePostgres postgres)
{
    [Fact]
    public async Task A_database_that_is_not_migrated_is_refused_and_then_migrated()
    {
        var database = await postgres.CreateEmptyDatabaseAsync();
        var environment = External(database.App, database.Owner, acceptLosingMoney: true);
        var refused = await BankProcess.RunAsync(["up"], environment);
        AssertRefused(ExitCode.NotMigrated, "./bank migrate", refused);

        Assert.Equal(0, (await BankProcess.RunAsync(["migrate"], environment)).ExitCode);
        await using var bank = await BankProcess.Start(["up"], environment).OpenAsync();
        bank.Interrupt();
        Assert.Equal(0, await bank.EndAsync());
        Assert.NotNull(postgres.Server.ProcessId);
    }

    [Fact]
    public async Task A_server_that_would_lose_money_is_refused()
    {
        var database = await postgres.CreateDatabaseAsync();
        AssertRefused(
            ExitCode.DurabilityOff, "fsync is off", await BankProcess.RunAsync(["up"], External(database.App, database.Owner)));
    }

    [Fact]
    public async Task An_unreachable_database_is_refused()
    {
        const string nobody = "Host=127.0.0.1;Port=1;Username=bank_app;Password=x;Database=bank";
        AssertRefused(ExitCode.DatabaseUnreachable, "127.0.0.1:1", await BankProcess.RunAsync(["up"], External(nobody, nobody)));
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("ftp://127.0.0.1:8080")]
    [InlineData("http://127.0.0.1:99999")]
    [InlineData("http://192.0.2.1:8080")]
    public async Task An_address_that_nobody_can_listen_on_is_refused(string url)
    {
        const string nobody = "Host=127.0.0.1;Port=1;Username=bank_app;Password=x;Database=bank";
        var environment = External(nobody, nobody);
        environment["ASPNETCORE_URLS"] = url;
        AssertRefused(ExitCode.Failed, "ASPNETCORE_URLS", await BankProcess.RunAsync(["up"], environment));
    }

    [Theory]
    [InlineData("Journal__WriteBudget", "00:00:40", "WriteBudget")]
    [InlineData("Journal__QueueWait", "soon", "Journal:QueueWait")]
    [InlineData("Bank__RecentCommands", "many", "Bank:RecentCommands")]
    [InlineData("Gateway__CommandsInFlight", "0", "CommandsInFlight")]
    [InlineData("Orleans__Endpoints__AdvertisedIPAddress", "no-such-host.invalid", "Orleans__Endpoints__AdvertisedIPAddress")]
    public async Task A_setting_that_makes_no_sense_is_refused(string name, string value, string named)
    {
        var database = await postgres.CreateDatabaseAsync();
        var environment = External(database.App, database.Owner, acceptLosingMoney: true);
        environment[name] = value;
        AssertRefused(ExitCode.Failed, named, await BankProcess.RunAsync(["up"], environment));
    }

    [Fact]
    public async Task A_wrong_password_is_refused()
    {
        var database = await postgres.CreateDatabaseAsync();
        var wrong = database.App.Replace("Password=", "Password=x", StringComparison.Ordinal);
        AssertRefused(ExitCode.DatabaseUnreachable, "password", await BankProcess.RunAsync(["up"], External(wrong, wrong)));
    }

    [Fact]
    public async Task A_connection_string_that_is_none_is_refused() =>
        AssertRefused(
            ExitCode.DatabaseUnreachable,
            "ConnectionStrings__Bank",
            await BankProcess.RunAsync(["up"], External("postgres://bank@localhost", "")));

    [Theory]
    [InlineData("--port", "70000")]
    [InlineData("--port", "65535")]
    [InlineData("--port", "0")]
    // Of ASPNETCORE_URLS, which the tests set to 0.
    [InlineData]
    public async Task A_cluster_whose_gateways_have_no_ports_is_refused(params string[] port)
    {
        await using var data = new DataDirectory();
        var refused = await BankProcess.RunAsync(["cluster", .. port], data.Environment, within: TimeSpan.FromMinutes(1));
        AssertRefused(ExitCode.Failed, "1 to 65534", refused);
        Assert.False(Directory.Exists(data.Path));
    }

    [Fact]
    public async Task A_database_server_that_is_too_old_is_refused()
    {
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        var serving = ServeVersionAsync(server, "13.4");
        var old = $"Host=127.0.0.1;Port={((IPEndPoint)server.LocalEndpoint).Port};Username=bank_app;Database=bank;" +
            "SslMode=Disable;GssEncryptionMode=Disable;Server Compatibility Mode=NoTypeLoading";
        AssertRefused(ExitCode.DatabaseTooOld, "13.4", await BankProcess.RunAsync(["up"], External(old, old)));
        server.Stop();
        await serving;
    }

    [Fact]
    public async Task A_data_directory_of_another_PostgreSQL_version_is_refused()
    {
        await using var data = new DataDirectory();
        Directory.CreateDirectory(Path.Combine(data.Path, "postgres"));
        await File.WriteAllTextAsync(
            Path.Combine(data.Path, "postgres", "PG_VERSION"), "9\n", TestContext.Current.CancellationToken);
        AssertRefused(ExitCode.DataDirectoryOfAnotherVersion, "PostgreSQL 9", await data.RunAsync("up"));
    }

    [Fact]
    public async Task A_data_directory_that_cannot_be_made_is_refused() =>
        AssertRefused(
            ExitCode.DataDirectoryUnusable,
            "/proc/bank",
            await BankProcess.RunAsync(["up"], new Dictionary<string, string?> { ["BANK_DATA_DIR"] = "/proc/bank" }));

    [Theory]
    [InlineData("up")]
    [InlineData("test")]
    [InlineData("migrate")]
    [InlineData("status")]
    [InlineData("stop")]
    [InlineData("reset")]
    [InlineData("doctor")]
    [InlineData("psql")]
    [InlineData("check")]
    public async Task Every_command_has_help_with_an_example(string command)
    {
        var output = new StringWriter();
        Assert.Equal(0, await Host.Commands.BankCommands.RunAsync([command, "--help"], output));
        Assert.Contains($"  ./bank {command}", output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_help_of_the_program_names_every_exit_code()
    {
        var output = new StringWriter();
        Assert.Equal(0, await Host.Commands.BankCommands.RunAsync(["--help"], output));
        Assert.All(Enum.GetValues<ExitCode>(), code => Assert.Matches($@"\b{(int)code} [A-Za-z.]", output.ToString()));
    }

    private static Dictionary<string, string?> External(string app, string owner, bool acceptLosingMoney = false) => new()
    {
        ["ConnectionStrings__Bank"] = app,
        ["ConnectionStrings__BankOwner"] = owner,
        ["BANK_ACCEPT_LOSING_MONEY"] = acceptLosingMoney ? "1" : null,
        // Two tests at once would meet on Orleans' usual ports.
        ["Orleans__Endpoints__SiloPort"] = $"{Ports.PreferredOrFree(0)}",
        ["Orleans__Endpoints__GatewayPort"] = $"{Ports.PreferredOrFree(0)}",
    };

    private static void AssertRefused(ExitCode expected, string named, (int ExitCode, string Output) actual)
    {
        Assert.True((int)expected == actual.ExitCode, $"Expected {expected}, got {actual.ExitCode}: {actual.Output}");
        Assert.Contains(named, actual.Output, StringComparison.Ordinal);
        OpenBankTests.AssertPlain(actual.Output);
    }

    // As much of the protocol as a client needs to believe that it is connected: authentication done, a version, ready.
    private static async Task ServeVersionAsync(TcpListener server, string version)
    {
        try
        {
            while (true)
            {
                using var client = await server.AcceptTcpClientAsync(TestContext.Current.CancellationToken);
                var stream = client.GetStream();
                var buffer = new byte[1024];
                _ = await stream.ReadAsync(buffer, TestContext.Current.CancellationToken);
                await stream.WriteAsync(
                    (byte[])[
                        .. Message('R', [0, 0, 0, 0]),
                        .. Message('S', Encoding.ASCII.GetBytes($"server_version\0{version}\0")),
                        .. Message('K', [0, 0, 0, 1, 0, 0, 0, 1]),
                        .. Message('Z', [(byte)'I']),
                    ],
                    TestContext.Current.CancellationToken);
                while (await stream.ReadAsync(buffer, TestContext.Current.CancellationToken) > 0)
                {
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or IOException)
        {
            // The test has ended.
        }
    }

    private static byte[] Message(char type, byte[] body) =>
        [(byte)type, 0, 0, 0, (byte)(body.Length + 4), .. body];
}
