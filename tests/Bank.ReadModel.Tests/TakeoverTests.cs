using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Bank.Testing;
using Orleans.EventSourcing.Postgres;
using Xunit;

namespace Bank.ReadModel.Tests;

/// <summary>Two processes of the product on one database, one of which is killed.</summary>
public sealed class TakeoverTests(PrivatePostgres postgres) : ReadModelTest(postgres)
{
    // Three times what is promised: other tests may be at work.
    private static readonly TimeSpan Promised = 3 * TimeSpan.FromSeconds(15);

    [Fact]
    public async Task Whoever_is_left_serves_every_partition_soon_after_the_other_was_killed()
    {
        await using var killed = await UpAsync();
        await using var left = await UpAsync();
        using var client = new HttpClient { BaseAddress = left.Address };
        await Eventually.UntilAsync(
            "the one that was there first runs partitions of projections", () => PartitionsAsync(killed), running => running > 0, Patience);
        // An account in each partition.
        var accounts = new Dictionary<int, string>();
        while (accounts.Count < PartitionCount)
        {
            using var opened = await client.PostAsJsonAsync("/api/v1/accounts", new { owner_name = "Ada" }, Cancellation);
            var id = (string)(await JsonAsync(opened))["account_id"]!;
            accounts[Partition.Of(StreamSlot.Of($"account-{id}"), PartitionCount).Number] = id;
        }

        killed.Kill();
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(accounts.Select(async account =>
        {
            // Whatever lived on the silo that was killed is asked for again, as every client does.
            var position = await UntilAsync($"a deposit in partition {account.Key} is done", async () =>
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, $"/api/v1/accounts/{account.Value}/deposit")
                {
                    Content = JsonContent.Create(new { amount = "1" }),
                    Headers = { { "Idempotency-Key", "one" } },
                };
                using var answer = await client.SendAsync(request, Cancellation);
                return (answer.StatusCode == HttpStatusCode.OK, await JsonAsync(answer));
            });
            await UntilAsync($"partition {account.Key} serves it", async () =>
            {
                using var answer = await client.GetAsync(
                    $"/api/v1/accounts/{account.Value}?min_position={position["position"]}", Cancellation);
                return (answer.StatusCode == HttpStatusCode.OK, await JsonAsync(answer));
            });
        }));
        TestContext.Current.TestOutputHelper!.WriteLine($"all partitions served {clock.Elapsed.TotalSeconds:0.0} s after the kill");
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, Promised);
        left.Terminate();
        Assert.Equal(0, await left.EndAsync());
    }

    private Task<BankProcess> UpAsync() => BankProcess.Start(["up"], new Dictionary<string, string?>
    {
        ["ConnectionStrings__Bank"] = Database.App,
        ["ConnectionStrings__BankOwner"] = Database.Owner,
        // The tests' own server flushes nothing.
        ["BANK_ACCEPT_LOSING_MONEY"] = "1",
    }).OpenAsync();

    // Those that it has metrics of are those that it runs.
    private static async Task<int> PartitionsAsync(BankProcess process)
    {
        using var client = new HttpClient();
        var metrics = await client.GetStringAsync(new Uri(process.Address, "/metrics"), Cancellation);
        return metrics.Split('\n').Count(line => line.StartsWith("projection_parked{", StringComparison.Ordinal));
    }

    private static async Task<JsonNode> UntilAsync(string what, Func<Task<(bool, JsonNode)>> ask)
    {
        JsonNode? answered = null;
        await Eventually.UntilAsync(
            what,
            async () =>
            {
                (var done, answered) = await ask();
                return (done, answered.ToJsonString());
            },
            Patience);
        return answered!;
    }

    private static async Task<JsonNode> JsonAsync(HttpResponseMessage answer) =>
        JsonNode.Parse(await answer.Content.ReadAsStringAsync(Cancellation))!;
}
