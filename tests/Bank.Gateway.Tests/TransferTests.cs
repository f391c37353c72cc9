using System.Text.Json.Nodes;
using Bank.Contracts;
using Bank.Domain;
using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>How transfers end, and what can be read of them afterwards.</summary>
[Collection(OneBank.Name)]
public sealed class TransferTests(OneBank.Fixture shared)
{
    private RestClient Rest => shared.Bank.Rest;

    [Fact]
    public async Task A_transfer_is_answered_when_the_money_has_arrived()
    {
        var (from, to) = (await Rest.OpenAsync("100"), await Rest.OpenAsync("1"));
        var answer = (await Rest.TransferAsync(from, to, "30.5", "rent")).Is(200);
        Assert.Equal(["transfer_id", "status", "balance", "position"], Fields(answer.Body));
        Assert.Equal(("completed", "69.50"), (answer.Text("status"), answer.Text("balance")));
        Assert.Equal(DerivedId.Transfer(new(from), "rent").Value, answer.Id("transfer_id"));
        Assert.Equal("31.50", (await Rest.AccountAsync(to)).Text("balance"));
        await EndedAsync(answer.Id("transfer_id"));

        var again = (await Rest.TransferAsync(from, to, "30.50", "rent")).Is(200);
        Assert.True(again.IsReplay);
        Assert.Equal(("completed", "69.50"), (again.Text("status"), again.Text("balance")));
        (await Rest.TransferAsync(from, to, "31", "rent")).Is(422, "idempotency_key_reused");
        (await Rest.DepositAsync(from, "30.5", "rent")).Is(422, "idempotency_key_reused");
        Assert.Equal("69.50", (await Rest.AccountAsync(from)).Text("balance"));
    }

    [Fact]
    public async Task A_completed_transfer_shows_its_steps_with_time_and_position()
    {
        var (from, to) = (await Rest.OpenAsync("100"), await Rest.OpenAsync());
        var id = (await Rest.TransferAsync(from, to, "30")).Is(200).Id("transfer_id");
        var transfer = await EndedAsync(id);
        Assert.Equal(
            [
                "transfer_id", "from_account_id", "to_account_id", "amount", "currency", "description", "status", "phase", "reason",
                "steps", "as_of_position",
            ],
            Fields(transfer));
        Assert.Equal(
            $"{id} {from} {to} 30.00 USD rent completed ended ",
            string.Join(' ', Fields(transfer).Take(9).Select(field => (string?)transfer[field])));
        Assert.Equal(["TransferRequested", "TransferSent", "TransferReceived", "TransferCompleted"], Steps(transfer));
        Assert.Equal(
            [
                id,
                DerivedId.Step(new(id), TransferStep.Source),
                DerivedId.Step(new(id), TransferStep.Destination),
                DerivedId.Step(new(id), TransferStep.Outcome),
            ],
            transfer["steps"]!.AsArray().Select(step => Guid.Parse((string)step!["event_id"]!)));
        // Each step is what its event says.
        foreach (var step in transfer["steps"]!.AsArray())
        {
            var recorded = (await Rest.GetAsync($"/api/v1/events/{(string?)step!["event_id"]}")).Is(200).Body!;
            Assert.Equal(["step", "event_id", "position", "recorded_at"], Fields(step));
            Assert.Equal(recorded["event_type"]!.ToJsonString(), step["step"]!.ToJsonString());
            Assert.Equal(recorded["position"]!.ToJsonString(), step["position"]!.ToJsonString());
            Assert.Equal(recorded["recorded_at"]!.ToJsonString(), step["recorded_at"]!.ToJsonString());
        }
    }

    [Theory]
    [InlineData("insufficient_funds")]
    [InlineData("account_closed")]
    [InlineData("currency_mismatch")]
    [InlineData("destination_not_found")]
    [InlineData("destination_closed")]
    [InlineData("destination_balance_too_large")]
    public async Task A_transfer_that_cannot_be_is_recorded_with_its_reason_and_moves_nothing(string reason)
    {
        var from = await Rest.OpenAsync("100");
        var to = await Rest.OpenAsync();
        var amount = "10";
        switch (reason)
        {
            case "insufficient_funds":
                amount = "100.01";
                break;
            case "account_closed":
                (await Rest.WithdrawAsync(from, "100")).Is(200);
                (await Rest.CloseAsync(from)).Is(200);
                break;
            case "currency_mismatch":
                to = await Rest.OpenAsync(currency: "EUR");
                break;
            case "destination_not_found":
                to = Guid.NewGuid();
                break;
            case "destination_closed":
                (await Rest.CloseAsync(to)).Is(200);
                break;
            case "destination_balance_too_large":
                await FillAsync(to);
                break;
        }

        var before = (await BalanceAsync(from), await BalanceAsync(to));
        var answer = (await Rest.TransferAsync(from, to, amount, "t")).Is(422, reason);
        Assert.Equal("application/problem+json", answer.Headers["Content-Type"]);
        var id = answer.Id("transfer_id");
        Assert.Equal((422, "rejected"), ((int)answer.Number("status"), answer.Text("transfer_status")));
        Assert.InRange(answer.Number("position"), 1, await shared.Bank.HeadAsync());

        var transfer = await EndedAsync(id);
        Assert.Equal(("rejected", reason), ((string?)transfer["status"], (string?)transfer["reason"]));
        Assert.Equal(["TransferRequested", "TransferDeclined", "TransferRejected"], Steps(transfer));
        var again = (await Rest.TransferAsync(from, to, amount, "t")).Is(422, reason);
        Assert.True(again.IsReplay);
        Assert.Equal(before, (await BalanceAsync(from), await BalanceAsync(to)));
    }

    [Fact]
    public async Task A_transfer_that_makes_no_sense_is_not_even_recorded()
    {
        var id = await Rest.OpenAsync("100");
        var head = await shared.Bank.HeadAsync();
        (await Rest.TransferAsync(id, id, "1", "self")).Is(422, "same_account");
        (await Rest.TransferAsync(Guid.NewGuid(), id, "1")).Is(404, "account_not_found");
        (await Rest.TransferAsync(id, Guid.NewGuid(), "0")).Is(400, "malformed_request");
        (await Rest.TransferAsync(id, Guid.NewGuid(), "1.001")).Is(400, "malformed_request");
        (await Rest.TransferAsync(id, Guid.NewGuid(), "10000000000000.01")).Is(400, "malformed_request");
        (await Rest.GetAsync($"/api/v1/transfers/{DerivedId.Transfer(new(id), "self")}")).Is(404, "transfer_not_found");
        Assert.Equal(head, await shared.Bank.HeadAsync());
    }

    [Fact]
    public async Task Transfers_are_listed_newest_first_by_account_and_status()
    {
        var (hub, other) = (await Rest.OpenAsync("100"), await Rest.OpenAsync("100"));
        var ids = new List<Guid>();
        for (var i = 0; i < 5; i++)
            ids.Add((i % 2 == 0 ? await Rest.TransferAsync(hub, other, "1") : await Rest.TransferAsync(other, hub, "1000"))
                .Id("transfer_id"));
        ids.Reverse();
        foreach (var id in ids)
            await EndedAsync(id);

        Assert.Equal(ids, await ListAsync($"account={hub}&limit=2"));
        Assert.Equal(ids, await ListAsync($"account={other}"));
        Assert.Equal([ids[0], ids[2], ids[4]], await ListAsync($"account={hub}&status=completed&limit=1"));
        Assert.Equal([ids[1], ids[3]], await ListAsync($"account={hub}&status=rejected"));
        Assert.Empty(await ListAsync($"account={hub}&status=running"));
        Assert.Empty(await ListAsync($"account={Guid.NewGuid()}"));
    }

    private async Task<List<Guid>> ListAsync(string query)
    {
        var listed = new List<Guid>();
        for (var next = ""; ;)
        {
            var page = (await Rest.GetAsync($"/api/v1/transfers?{query}{next}")).Is(200);
            Assert.Equal(["items", "next_cursor", "as_of_position"], Fields(page.Body));
            listed.AddRange(page.Body!["items"]!.AsArray().Select(item => Guid.Parse((string)item!["transfer_id"]!)));
            if (page.Body["next_cursor"] is not { } cursor)
                return listed;
            next = $"&cursor={cursor}";
        }
    }

    // The client is answered when the money has arrived; that the transfer itself records its end may follow.
    private Task<JsonNode> EndedAsync(Guid transfer) => Transfers.EndedAsync(Rest, $"/api/v1/transfers/{transfer}");

    private async Task<string?> BalanceAsync(Guid account) =>
        (string?)(await Rest.GetAsync($"/api/v1/accounts/{account}?consistency=strong")).Body!["balance"];

    private async Task FillAsync(Guid account)
    {
        var grain = shared.Bank.Grains.GetGrain<IBankAccountGrain>(account);
        var replies = await Task.WhenAll(Enumerable.Range(0, 1000).Select(
            _ => grain.Deposit(new(1_000_000_000_000_000, 2), "", new(Guid.NewGuid()))));
        Assert.All(replies, reply => Assert.Equal(ReplyStatus.Done, reply.Status));
    }

    private static string[] Steps(JsonNode transfer) => [.. transfer["steps"]!.AsArray().Select(step => (string)step!["step"]!)];

    private static string[] Fields(JsonNode? node) => [.. node!.AsObject().Select(field => field.Key)];
}
