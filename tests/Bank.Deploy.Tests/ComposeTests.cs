using System.Net;
using System.Text.Json.Nodes;
using Xunit;

namespace Bank.Deploy.Tests;

/// <summary>The compose file, as docker-compose understands it.</summary>
public sealed class Compose : IAsyncLifetime
{
    private JsonObject? config;

    internal JsonObject Config => config ?? throw new InvalidOperationException("Not read.");

    internal IEnumerable<KeyValuePair<string, JsonNode?>> Services => Config.Members("services");

    /// <summary>The services that run the bank's image.</summary>
    internal IEnumerable<KeyValuePair<string, JsonNode?>> Bank => Services.Where(service => service.Value.Text("image") == "bank-orleans");

    public async ValueTask InitializeAsync() =>
        config = Yaml.Parse(await Tool.DockerCompose.RunAsync("--file", "docker-compose.yml", "config"));

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}

public sealed class ComposeTests(Compose compose) : IClassFixture<Compose>
{
    [Fact]
    public void It_runs_a_database_a_migration_two_silos_two_gateways_Prometheus_and_Grafana()
    {
        Assert.Equal(
            ["gateway-1", "gateway-2", "grafana", "migrate", "postgres", "prometheus", "silo-1", "silo-2"],
            compose.Services.Select(service => service.Key).Order(StringComparer.Ordinal));
        Assert.Equal(["up", "--role", "silo"], Service("silo-2").Texts("command"));
        Assert.Equal(["up", "--role", "gateway"], Service("gateway-2").Texts("command"));
        Assert.Equal(["migrate"], Service("migrate").Texts("command"));
    }

    // With a name of its own, two clones on one machine would be one project.
    [Fact]
    public void It_has_no_name() => Assert.False(Yaml.Parse(Repository.Read("docker-compose.yml")).ContainsKey("name"));

    [Fact]
    public void Every_published_port_is_bound_to_the_host_s_loopback_and_to_one_service()
    {
        var ports = compose.Services.SelectMany(service => PortsOf(service.Value)).ToList();
        Assert.Equal(5, ports.Count);
        Assert.All(ports, port => Assert.StartsWith("127.0.0.1:", port, StringComparison.Ordinal));
        Assert.Distinct(ports.Select(port => port.Split(':')[1]));
    }

    [Fact]
    public void The_ports_of_Orleans_are_never_published() => Assert.All(
        compose.Services.SelectMany(service => PortsOf(service.Value)),
        port => Assert.DoesNotMatch("(11111|30000)", port));

    [Fact]
    public void The_bank_s_containers_write_nothing_and_have_no_rights() => Assert.All(compose.Bank, service =>
    {
        Assert.Equal("true", service.Value.Text("read_only"));
        Assert.Equal(["ALL"], service.Value.Texts("cap_drop"));
        Assert.Contains("no-new-privileges:true", service.Value.Texts("security_opt"));
        Assert.Empty(service.Value.List("volumes"));
        Assert.Equal("", service.Value.Text("user"));
    });

    [Fact]
    public void Only_the_migration_knows_the_owner_s_password() => Assert.All(compose.Bank, service => Assert.Equal(
        service.Key == "migrate",
        service.Value.Members("environment").Any(variable => ((string)variable.Value!).Contains("bank_owner", StringComparison.Ordinal))));

    [Fact]
    public void Each_silo_advertises_the_address_that_it_has_and_that_nobody_else_is_given()
    {
        var pool = compose.Config["networks"]!["default"]!["ipam"].List("config").Single();
        var (subnet, range) = (IPNetwork.Parse(pool.Text("subnet")), IPNetwork.Parse(pool.Text("ip_range")));
        var addresses = new List<string>();
        foreach (var name in (string[])["silo-1", "silo-2"])
        {
            var address = Service(name)["networks"]!["default"].Text("ipv4_address");
            Assert.Equal(address, Service(name)["environment"].Text("Orleans__Endpoints__AdvertisedIPAddress"));
            Assert.True(subnet.Contains(IPAddress.Parse(address)) && !range.Contains(IPAddress.Parse(address)), address);
            addresses.Add(address);
        }

        Assert.Distinct(addresses);
    }

    [Fact]
    public void Operators_are_those_who_come_from_the_network_that_the_file_makes() => Assert.All(
        (string[])["gateway-1", "gateway-2"],
        name => Assert.Equal(
            compose.Config["networks"]!["default"]!["ipam"].List("config").Single().Text("subnet"),
            Service(name)["environment"].Text("Operators__Networks__0")));

    [Fact]
    public void Images_of_others_have_a_version_and_files_that_are_mounted_exist()
    {
        Assert.All(
            compose.Services.Except(compose.Bank),
            service => Assert.Matches(@"^[a-z/]+:v?\d+(\.\d+)*$", service.Value.Text("image")));
        Assert.All(
            compose.Services.SelectMany(service => VolumesOf(service.Value)).Where(volume => volume.StartsWith('/')),
            volume =>
            {
                Assert.True(Directory.Exists(volume.Split(':')[0]), volume);
                Assert.EndsWith(":ro", volume, StringComparison.Ordinal);
            });
    }

    [Fact]
    public void A_container_gets_longer_to_stop_than_a_drain_takes() =>
        Assert.All(compose.Bank, service => Assert.Equal("75s", Seconds(service.Value.Text("stop_grace_period"))));

    [Fact]
    public void Prometheus_scrapes_every_silo_and_gateway_and_knows_its_role()
    {
        var prometheus = Yaml.Parse(Repository.Read("deploy/observability/prometheus/prometheus.yml"));
        var scraped =
            from job in prometheus.List("scrape_configs")
            where job.Text("job_name") == "bank"
            from targets in job.List("static_configs")
            from target in targets.Texts("targets")
            select (target, targets["labels"].Text("role"));
        Assert.Equal(
            [("gateway-1:8080", "gateway"), ("gateway-2:8080", "gateway"), ("silo-1:8080", "silo"), ("silo-2:8080", "silo")],
            scraped.Order());
    }

    private JsonNode Service(string name) => compose.Config["services"]![name]!;

    // The first generation of docker-compose keeps the short forms where it can, the second writes all of them out.
    private static IEnumerable<string> PortsOf(JsonNode? service) => service.List("ports").Select(port => port is JsonObject
        ? $"{port.Text("host_ip")}:{port.Text("published")}:{port.Text("target")}"
        : (string)port!);

    private static IEnumerable<string> VolumesOf(JsonNode? service) => service.List("volumes").Select(volume => volume is JsonObject
        ? $"{volume.Text("source")}:{volume.Text("target")}{(volume.Text("read_only") == "true" ? ":ro" : "")}"
        : (string)volume!);

    private static string Seconds(string duration) => duration == "1m15s" ? "75s" : duration;
}
