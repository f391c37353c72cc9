using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.RegularExpressions;
using Bank.Deploy.Tests;
using Bank.Host.Postgres;
using Bank.Testing;
using Xunit;

namespace Bank.Cluster.Tests.Processes;

/// <summary>What a running cluster shows, and to whom.</summary>
[Collection(nameof(ClusterCollection))]
public sealed class ExposureTests(LocalCluster cluster)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Nothing_listens_but_on_loopback()
    {
        await cluster.WholeAsync();
        var members = await cluster.MembersAsync();
        var processes = members.Select(member => (Name: $"{member.Role} {member.Index}", Id: member.Pid!.Value))
            .Append((Name: "postgres", Id: LocalPostgres.ProcessOf(cluster.Directory)!.Value)).ToList();
        foreach (var (name, id) in processes)
        {
            var listening = ListeningOf(id);
            // A silo: other silos, gateways, health. A gateway: HTTP. PostgreSQL: its port.
            Assert.Equal(name.StartsWith("silo", StringComparison.Ordinal) ? 3 : 1, listening.Count);
            Assert.All(listening, address => Assert.Equal("0100007F", address.Split(':')[0]));
        }
    }

    [Fact]
    public async Task Details_are_for_operators_and_tell_of_database_disk_queue_lag_transfers_members_and_clock()
    {
        await cluster.WholeAsync();
        using var client = new HttpClient();
        var silo = (await cluster.MembersAsync())[0].Address;
        var detail = await client.GetFromJsonAsync<JsonElement>(new Uri($"{silo}/health/detail"), Cancellation);
        Assert.Equal("silo", detail.GetProperty("role").GetString());
        Assert.NotEqual("unready", detail.GetProperty("status").GetString());
        var database = detail.GetProperty("database");
        Assert.Equal("primary", database.GetProperty("role").GetString());
        Assert.InRange(database.GetProperty("clock_offset_milliseconds").GetDouble(), -5_000, 5_000);
        Assert.InRange(database.GetProperty("connections").GetInt64(), 1, database.GetProperty("max_connections").GetInt32());
        Assert.Equal(cluster.Directory, detail.GetProperty("data_directory").GetProperty("path").GetString());
        Assert.True(detail.GetProperty("data_directory").GetProperty("free_bytes").GetInt64() > 0);
        Assert.True(detail.GetProperty("writer_queue").GetInt32() >= 0);
        Assert.Contains(detail.GetProperty("projections").EnumerateArray(), p => p.GetProperty("name").GetString() == "transactions");
        Assert.True(detail.GetProperty("transfers").GetProperty("open").GetInt64() >= 0);
        Assert.Superset(
            new HashSet<string> { "silo-1 active", "silo-2 active", "silo-3 active" },
            detail.GetProperty("members").EnumerateArray().Select(m => $"{m.GetProperty("name")} {m.GetProperty("state")}").ToHashSet());

        using var proxied = new HttpRequestMessage(HttpMethod.Get, $"{cluster.Gateways[0]}health/detail");
        proxied.Headers.Add("X-Forwarded-For", "192.0.2.1");
        using var refused = await client.SendAsync(proxied, Cancellation);
        Assert.Equal(HttpStatusCode.NotFound, refused.StatusCode);

        var (exitCode, said) = await BankProcess.RunAsync(
            ["status"], new Dictionary<string, string?> { ["BANK_DATA_DIR"] = cluster.Directory });
        Assert.Equal(0, exitCode);
        foreach (var line in (string[])["database: primary", "disk: ", "in silo 3", "read models: ", "transfers: ", "silo-2 active"])
            Assert.Contains(line, said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_metric_that_a_rule_or_a_panel_names_is_in_a_scrape()
    {
        await cluster.WholeAsync();
        using (var traffic = await Traffic.BeginAsync(cluster.Gateways, 3))
        {
            await Eventually.UntilAsync("there was some traffic", () => traffic.Commands.Count > 100, LocalCluster.Patience);
            await traffic.EndAsync();
        }

        var wanted = Instrument.All.SelectMany(instrument => instrument.Series).ToList();
        using var client = new HttpClient();
        await Eventually.UntilAsync(
            "the scrapes of all members have every metric",
            async () =>
            {
                var scraped = new HashSet<string>();
                foreach (var member in await cluster.MembersAsync())
                    scraped.UnionWith(
                        Regex.Matches(
                            await client.GetStringAsync(new Uri($"{member.Address}/metrics"), Cancellation),
                            @"^([a-zA-Z_:][\w:]*)[{ ]",
                            RegexOptions.Multiline)
                        .Select(match => match.Groups[1].Value));
                var missing = wanted.Except(scraped).ToList();
                return (missing.Count == 0, $"missing: {string.Join(", ", missing)}");
            },
            LocalCluster.Patience);
    }

    // As the kernel lists them: hexadecimal address and port of those sockets of the process that listen.
    private static List<string> ListeningOf(int process)
    {
        var own = Directory.EnumerateFiles($"/proc/{process}/fd")
            .Select(fd => new FileInfo(fd).LinkTarget ?? "")
            .Where(target => target.StartsWith("socket:[", StringComparison.Ordinal))
            .Select(target => target[8..^1])
            .ToHashSet();
        return
        [
            .. from table in (string[])["tcp", "tcp6"]
               from line in File.ReadLines($"/proc/{process}/net/{table}").Skip(1)
               let columns = line.Split(' ', StringSplitOptions.RemoveEmptyEntries)
               where columns[3] == "0A" && own.Contains(columns[9])
               select columns[1],
        ];
    }
}
