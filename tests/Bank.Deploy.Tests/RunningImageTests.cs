using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Bank.Testing;
using Xunit;

namespace Bank.Deploy.Tests;

/// <summary>A process of the image, and what it was started with.</summary>
internal sealed record Service(BankProcess Process, Dictionary<string, string> Environment);

/// <summary>A silo and a gateway of the published program, started as docker-compose.yml does, as a user who may write nowhere.</summary>
public sealed class RunningImage(Image image, PrivatePostgres postgres) : IAsyncLifetime
{
    private static readonly TimeSpan OpeningTakes = TimeSpan.FromSeconds(120);

    private readonly JsonNode compose = Yaml.Parse(Repository.Read("docker-compose.yml"));
    private bool opened;

    internal Service Silo { get; private set; } = null!;

    internal Service Gateway { get; private set; } = null!;

    internal List<(string, DateTime)> FilesBefore { get; } = FilesOf(image.Program);

    /// <summary>What the health check said of the gateway while it waited for its database to be migrated.</summary>
    internal int HealthOfOneThatWaits { get; private set; }

    public async ValueTask InitializeAsync()
    {
        var database = await postgres.CreateEmptyDatabaseAsync();
        var shared = new Dictionary<string, string>
        {
            ["ConnectionStrings__Bank"] = database.App,
            // The tests' own server flushes nothing.
            ["BANK_ACCEPT_LOSING_MONEY"] = "1",
            ["Orleans__ClusterId"] = $"image-{Guid.NewGuid():n}",
            ["Orleans__Endpoints__SiloPort"] = FreePort(),
            ["Orleans__Endpoints__GatewayPort"] = FreePort(),
        };
        // In the order in which nothing is there that the next one needs: each waits for what comes after it.
        Gateway = Started("gateway-1", shared);
        Silo = Started("silo-1", shared);
        await AnswersAsync(Gateway, "/health/live", HttpStatusCode.OK);
        await AnswersAsync(Gateway, "/health/ready", HttpStatusCode.ServiceUnavailable);
        HealthOfOneThatWaits = await HealthAsync(Gateway.Environment);
        var migration = await EndAsync(
            [.. image.Dockerfile.Entrypoint, .. CommandOf("migrate")], new(shared) { ["ConnectionStrings__BankOwner"] = database.Owner });
        Assert.Equal(0, migration);
        await AnswersAsync(Gateway, "/health/ready", HttpStatusCode.OK);
        await AnswersAsync(Silo, "/health/ready", HttpStatusCode.OK);
        opened = true;
    }

    /// <summary>Ends both as a supervisor does; one that does not end with 0 fails the class.</summary>
    public async ValueTask DisposeAsync()
    {
        var processes = new[] { Gateway, Silo }.OfType<Service>().Select(service => service.Process).ToList();
        try
        {
            if (!opened)
                return;
            processes.ForEach(process => process.Terminate());
            foreach (var process in processes)
                Assert.True(await process.EndAsync() == 0, process.Output);
        }
        finally
        {
            foreach (var process in processes)
                await process.DisposeAsync();
        }
    }

    internal Task<int> HealthAsync(Dictionary<string, string> environment) => EndAsync(image.Dockerfile.HealthCheck, environment);

    internal List<(string, DateTime)> FilesNow() => FilesOf(image.Program);

    private static List<(string, DateTime)> FilesOf(string folder) =>
    [
        .. from file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
           select (file, File.GetLastWriteTimeUtc(file)),
    ];

    internal static string FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture);
    }

    private static Task AnswersAsync(Service service, string path, HttpStatusCode status) => Eventually.UntilAsync(
        $"{service.Process.Address}{path} answers {status}",
        async () =>
        {
            using var client = new HttpClient();
            using var answer = await client.GetAsync(new Uri(service.Process.Address, path));
            return (answer.StatusCode == status, $"{answer.StatusCode}; it has printed:\n{service.Process.Output}");
        },
        OpeningTakes);

    private string[] CommandOf(string service) => [.. compose["services"]![service].Texts("command")];

    private Service Started(string service, Dictionary<string, string> shared)
    {
        var address = new Uri($"http://127.0.0.1:{FreePort()}");
        var environment = new Dictionary<string, string>(shared) { ["ASPNETCORE_URLS"] = address.GetLeftPart(UriPartial.Authority) };
        return new(new(image.Start([.. image.Dockerfile.Entrypoint, .. CommandOf(service)], environment), address), environment);
    }

    private async Task<int> EndAsync(string[] command, Dictionary<string, string> environment)
    {
        await using var process = new BankProcess(image.Start(command, environment));
        return await process.EndAsync();
    }
}

[Collection(typeof(ImageCollection))]
public sealed class RunningImageTests(RunningImage running) : IClassFixture<RunningImage>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private Service[] Services => [running.Gateway, running.Silo];

    [Fact]
    public void Silo_and_gateway_run_as_the_image_s_user() => Assert.All(Services, service => Assert.Equal(
        Environment.IsPrivilegedProcess ? Image.User : UserOf(Environment.ProcessId), UserOf(service.Process.Id)));

    [Fact]
    public async Task The_health_check_tells_one_that_lives_from_one_that_does_not()
    {
        Assert.Equal(0, running.HealthOfOneThatWaits);
        foreach (var service in Services)
            Assert.Equal(0, await running.HealthAsync(service.Environment));
        Assert.NotEqual(0, await running.HealthAsync(new(running.Gateway.Environment)
        {
            ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{RunningImage.FreePort()}",
        }));
    }

    [Fact]
    public async Task Every_metric_that_rules_and_panels_name_is_in_a_scrape_of_a_silo_or_a_gateway()
    {
        using var client = new HttpClient();
        using var opened = await client.PostAsJsonAsync(
            new Uri(running.Gateway.Process.Address, "/api/v1/accounts"),
            new { owner_name = "Ada", initial_deposit = "10.00" },
            Cancellation);
        Assert.Equal(HttpStatusCode.Created, opened.StatusCode);

        var wanted = Instrument.All.Where(instrument => !instrument.BetweenSilos).SelectMany(instrument => instrument.Series).ToList();
        await Eventually.UntilAsync(
            "the scrapes of silo and gateway have every metric of the list",
            async () =>
            {
                var scraped = new HashSet<string>();
                foreach (var service in Services)
                    scraped.UnionWith(SeriesOf(await client.GetStringAsync(new Uri(service.Process.Address, "/metrics"), Cancellation)));
                var missing = wanted.Except(scraped).ToList();
                return (missing.Count == 0, $"missing: {string.Join(", ", missing)}");
            },
            TimeSpan.FromSeconds(60));
    }

    [Fact]
    public void Nothing_is_written_beside_the_program_or_where_everybody_may_write()
    {
        Assert.Equal(running.FilesBefore, running.FilesNow());
        Assert.Equal([], FilesLeftByItsUser());
    }

    private static IEnumerable<string> SeriesOf(string scrape) =>
        Regex.Matches(scrape, @"^([a-zA-Z_:][\w:]*)[{ ]", RegexOptions.Multiline).Select(match => match.Groups[1].Value);

    // Only root's tests have a user that is the image's alone.
    private static List<string> FilesLeftByItsUser()
    {
        if (!Environment.IsPrivilegedProcess)
            return [];
        using var find = Process.Start(new ProcessStartInfo(
            "find", ["/tmp", "/var/tmp", "/dev/shm", "-xdev", "-maxdepth", "2", "-uid", $"{Image.User}"])
        {
            RedirectStandardOutput = true,
        })!;
        var found = find.StandardOutput.ReadToEnd();
        find.WaitForExit();
        return [.. found.Split('\n', StringSplitOptions.RemoveEmptyEntries)];
    }

    private static int UserOf(int process) => int.Parse(
        File.ReadLines($"/proc/{process}/status").First(line => line.StartsWith("Uid:", StringComparison.Ordinal)).Split('\t')[1],
        CultureInfo.InvariantCulture);
}
