using Bank.Testing;
using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>Two gateways, each with a silo of one cluster: no read is older than what its reader knows of.</summary>
public sealed class ReadYourWritesTests(PrivatePostgres postgres)
{
    private const int Clients = 16;
    private static readonly int PairsPerClient = Scale.Of(313, 12_500);

    [Fact]
    public async Task A_read_is_never_older_than_what_was_acknowledged_here_or_named()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var one = await TestBank.StartAsync(database);
        await using var other = await TestBank.StartAsync(database);
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(async client =>
        {
            var (mine, theirs) = client % 2 == 0 ? (one.Rest, other.Rest) : (other.Rest, one.Rest);
            var (id, payer, payee) = (await mine.OpenAsync(), await mine.OpenAsync("1000000"), await mine.OpenAsync());
            for (var n = 1; n <= PairsPerClient; n++)
            {
                var position = (await mine.DepositAsync(id, "1")).Is(200).Number("position");
                // Here without a word, elsewhere by the position.
                var account = n % 2 == 0
                    ? (await mine.AccountAsync(id)).Is(200)
                    : (await theirs.GetAsync($"/api/v1/accounts/{id}?min_position={position}")).Is(200);
                Assert.Equal($"{n}.00", account.Text("balance"));
                Assert.True(account.Number("as_of_position") >= position);
                switch (n % 20)
                {
                    case 5:
                        await MovementAsync(mine, id, $"{n}.00", position, "");
                        break;
                    case 10:
                        await MovementAsync(theirs, id, $"{n}.00", position, $"&min_position={position}");
                        break;
                    case 15:
                        await TransferAsync(mine, theirs, payer, payee);
                        break;
                }
            }
        }));
    }

    private static async Task MovementAsync(RestClient rest, Guid id, string balance, long position, string named)
    {
        var newest = (await rest.GetAsync($"/api/v1/accounts/{id}/transactions?limit=1{named}")).Is(200).Body!["items"]![0]!;
        Assert.Equal(balance, (string?)newest["balance_after"]);
        Assert.True((await rest.GetAsync($"/api/v1/accounts?limit=1{named}")).Is(200).Number("as_of_position") >= position);
        Assert.True((await rest.GetAsync($"/api/v1/totals/daily?currency=USD{named}")).Is(200).Number("as_of_position") >= position);
    }

    private static async Task TransferAsync(RestClient mine, RestClient theirs, Guid from, Guid to)
    {
        var transfer = await mine.TransferAsync(from, to, "1");
        // One that takes long is not over, but known.
        Assert.True(transfer.Status is 200 or 202, transfer.Body?.ToJsonString());
        var (id, position) = (transfer.Text("transfer_id"), transfer.Number("position"));
        (await mine.GetAsync($"/api/v1/transfers/{id}")).Is(200);
        (await theirs.GetAsync($"/api/v1/transfers/{id}?min_position={position}")).Is(200);
        foreach (var (rest, named) in new[] { (mine, ""), (theirs, $"&min_position={position}") })
            Assert.Equal(
                id, (string?)(await rest.GetAsync($"/api/v1/transfers?account={from}&limit=1{named}")).Is(200)
                    .Body!["items"]![0]!["transfer_id"]);
    }

    [Fact]
    public async Task A_position_that_does_not_come_is_not_waited_for_without_end()
    {
        await using var bank = await TestBank.StartAsync(await postgres.CreateDatabaseAsync());
        var id = await bank.Rest.OpenAsync();
        (await bank.Rest.GetOnceAsync($"/api/v1/accounts/{id}?min_position=999999999")).Is(503, "read_model_behind");
        (await bank.Rest.GetOnceAsync("/api/v1/accounts?min_position=999999999")).Is(503, "read_model_behind");
        (await bank.Rest.GetOnceAsync($"/api/v1/accounts/{id}?min_position=-1")).Is(400, "malformed_request");
    }
}
