using System.Diagnostics;
using System.Globalization;
using System.Net;
using Bank.Testing;
using Xunit;

namespace Bank.Cluster.Tests.Processes;

/// <summary>
/// Three silos, each on a network of its own: one cable to the other silos and the gateway, one to the database, and each can be pulled.
/// All of it, the tests that use it too, lives in a network namespace that goes when they end; so it needs root.
/// </summary>
internal sealed class Lab : IAsyncDisposable
{
    private const string Inside = "BANK_LAB";
    private const string Silos = "10.77.1";
    private const string Databases = "10.77.2";
    private const int Self = 254;
    private static readonly (string Bridge, string Network)[] Networks = [("silos", Silos), ("databases", Databases)];

    private readonly UnshakenPostgres _postgres = new();
    private readonly BankProcess?[] _silos = new BankProcess?[3];
    private TcpProxy? _way;
    private BankProcess? _gateway;

    /// <summary>Whether this process is in the namespace.</summary>
    public static bool IsHere => Environment.GetEnvironmentVariable(Inside) is "1";

    public Uri Gateway { get; } = new("http://127.0.0.1:8080");

    /// <summary>As <c>bank_app</c>, from where the tests are.</summary>
    public string Database { get; private set; } = "";

    /// <summary>Runs a test of this assembly in a namespace of its own.</summary>
    /// <returns>What it has printed.</returns>
    public static async Task<string> RunAsync(string test)
    {
        var start = new ProcessStartInfo(
            "unshare",
            [
                "--net", "--", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh",
                Path.ChangeExtension(typeof(Lab).Assembly.Location, null), "-method", test, "-explicit", "only", "-showLiveOutput",
            ])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment[Inside] = "1";
        // What the platform that runs these tests has set for its own.
        foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("TESTINGPLATFORM", StringComparison.Ordinal)).ToList())
            start.Environment.Remove(name);
        using var process = Process.Start(start)!;
        var said = await Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, $"{test} ended with {process.ExitCode}:\n{string.Concat(said)}");
        return said[0];
    }

    /// <summary>Lays the cables, and starts everything.</summary>
    public static async Task<Lab> StartAsync()
    {
        var lab = new Lab();
        try
        {
            await lab._postgres.InitializeAsync();
            foreach (var (bridge, network) in Networks)
            {
                await IpAsync($"link add {bridge} type bridge");
                await IpAsync($"addr add {network}.{Self}/24 dev {bridge}");
                await IpAsync($"link set {bridge} up");
            }

            var database = await lab._postgres.CreateDatabaseAsync();
            lab.Database = database.App;
            lab._way = new(database.App, IPAddress.Parse($"{Databases}.{Self}"));
            await Task.WhenAll(Enumerable.Range(1, 3).Select(lab.StartSiloAsync));
            lab._gateway = BankProcess.Start(["up", "--role", "gateway"], new Dictionary<string, string?>
            {
                ["ConnectionStrings__Bank"] = database.App,
                ["ASPNETCORE_URLS"] = lab.Gateway.GetLeftPart(UriPartial.Authority),
            });
            await lab._gateway.SaysAsync("the gateway is open");
            return lab;
        }
        catch
        {
            await lab.DisposeAsync();
            throw;
        }
    }

    /// <summary>Pulls a cable of a silo's: what is on its way is lost, and nobody is told.</summary>
    /// <param name="from"><c>silos</c> or <c>databases</c>.</param>
    /// <param name="silo">From 1.</param>
    public static Task CutAsync(string from, int silo) => IpAsync($"link set {from}{silo} down");

    /// <summary>Puts it back.</summary>
    public static Task HealAsync(string from, int silo) => IpAsync($"link set {from}{silo} up");

    /// <summary>Waits until a silo has ended.</summary>
    public Task<int> EndAsync(int silo) => _silos[silo - 1]!.EndAsync();

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _silos.Append(_gateway).OfType<BankProcess>())
            await process.DisposeAsync();
        if (_way is not null)
            await _way.DisposeAsync();
        await _postgres.DisposeAsync();
    }

    // It waits for its cables, and only then becomes what it is to be; so the process whose network it is stays the same.
    private async Task StartSiloAsync(int silo)
    {
        var address = $"{Silos}.{silo}";
        var process = BankProcess.Start(
            ["up", "--role", "silo"],
            new Dictionary<string, string?>
            {
                ["ConnectionStrings__Bank"] = _way!.Through(Database),
                ["Orleans__Endpoints__AdvertisedIPAddress"] = address,
                ["Orleans__Endpoints__SiloPort"] = "11111",
                ["Orleans__Endpoints__GatewayPort"] = "30000",
                ["BANK_MEMBER"] = $"silo-{silo}",
            },
            under: ["unshare", "--net", "--", "sh", "-c", "read cables && ip link set lo up && exec \"$@\"", "sh"]);
        _silos[silo - 1] = process;
        await Eventually.UntilAsync("the silo has a network of its own", () => NetworkOf($"{process.Id}") != NetworkOf("self"));
        foreach (var (bridge, network) in Networks)
        {
            var inside = $"{bridge[0]}{silo}";
            await IpAsync($"link add {bridge}{silo} type veth peer name {inside}");
            await IpAsync($"link set {bridge}{silo} master {bridge} up");
            await IpAsync($"link set {inside} netns {process.Id}");
            await IpInAsync(process, $"addr add {network}.{silo}/24 dev {inside}");
            await IpInAsync(process, $"link set {inside} up");
        }

        await process.TellAsync("");
        await process.SaysAsync("the silo is open");
    }

    private static string? NetworkOf(string process) => new FileInfo($"/proc/{process}/ns/net").LinkTarget;

    private static Task IpAsync(string arguments) => RunAsync("ip", arguments.Split(' '));

    private static Task IpInAsync(BankProcess process, string arguments) => RunAsync(
        "nsenter", ["--net", "--target", process.Id.ToString(CultureInfo.InvariantCulture), "ip", .. arguments.Split(' ')]);

    private static async Task RunAsync(string program, string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        var said = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {said}");
    }
}
