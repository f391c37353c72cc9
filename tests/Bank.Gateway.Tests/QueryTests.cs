using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>What is read from the read models.</summary>
[Collection(OneBank.Name)]
public sealed class QueryTests(OneBank.Fixture shared)
{
    private RestClient Rest => shared.Bank.Rest;

    [Fact]
    public async Task The_movements_of_an_account_come_newest_first_with_their_balances()
    {
        var (from, to) = (await Rest.OpenAsync("100"), await Rest.OpenAsync());
        await Rest.WithdrawAsync(from, "10");
        var transfer = (await Rest.TransferAsync(from, to, "30")).Is(200);
        var sent = (await Rest.GetAsync($"/api/v1/accounts/{from}/transactions")).Is(200);
        Assert.Equal(
            ["transfer_out -30.00 60.00", "withdrawal -10.00 90.00", "opening 100.00 100.00"],
            sent.Body!["items"]!.AsArray().Select(t => $"{t!["type"]} {t["amount"]} {t["balance_after"]}"));
        Assert.Equal(transfer.Text("transfer_id"), (string?)sent.Body!["items"]![0]!["transfer_id"]);
        Assert.Equal($"{to}", (string?)sent.Body!["items"]![0]!["counterparty_account_id"]);

        var first = (await Rest.GetAsync($"/api/v1/accounts/{from}/transactions?limit=2")).Is(200);
        var second = (await Rest.GetAsync($"/api/v1/accounts/{from}/transactions?limit=2&cursor={first.Text("next_cursor")}")).Is(200);
        Assert.Equal("opening", (string?)Assert.Single(second.Body!["items"]!.AsArray())!["type"]);
        Assert.Null(second.Body!["next_cursor"]);
        (await Rest.GetAsync($"/api/v1/accounts/{to}/transactions?cursor={first.Text("next_cursor")}")).Is(400, "invalid_cursor");
        (await Rest.GetAsync($"/api/v1/accounts/{from}/transactions?to=2000-01-01T00:00:00Z")).Is(200);
        (await Rest.GetAsync($"/api/v1/accounts/{from}/transactions?from=yesterday")).Is(400, "malformed_request");
        (await Rest.GetAsync($"/api/v1/accounts/{Guid.NewGuid()}/transactions")).Is(404, "account_not_found");
    }

    [Fact]
    public async Task A_day_is_totalled_by_currency()
    {
        var id = await Rest.OpenAsync("7", "CHF");
        await Rest.DepositAsync(id, "3");
        await Rest.WithdrawAsync(id, "4");
        var totals = (await Rest.GetAsync("/api/v1/totals/daily?currency=CHF")).Is(200);
        var day = Assert.Single(totals.Body!["items"]!.AsArray())!;
        Assert.Equal(
            ("2", "10.00", "1", "4.00", "0"),
            ($"{day["deposits"]!["count"]}", (string?)day["deposits"]!["amount"], $"{day["withdrawals"]!["count"]}",
                (string?)day["withdrawals"]!["amount"], $"{day["transfers"]!["count"]}"));
        Assert.Empty((await Rest.GetAsync("/api/v1/totals/daily?to=2000-01-01")).Is(200).Body!["items"]!.AsArray());
        (await Rest.GetAsync("/api/v1/totals/daily?from=2026-3-1")).Is(400, "malformed_request");
        (await Rest.GetAsync("/api/v1/totals/daily?currency=XXY")).Is(400, "malformed_request");
    }

    [Fact]
    public async Task What_operators_do_to_projections_is_recorded_and_unknown_ones_are_not_found()
    {
        const string pause = "/api/v1/projections/daily_totals/pause";
        Assert.False((await Rest.PostAsync(pause, """{"reason": "a look"}""", ("Idempotency-Key", "look"))).Is(200).IsReplay);
        Assert.Equal("paused", await StateAsync("daily_totals"));
        Assert.True((await Rest.PostAsync(pause, """{"reason": "a look"}""", ("Idempotency-Key", "look"))).Is(200).IsReplay);
        (await Rest.PostAsync(pause, """{"reason": "another"}""", ("Idempotency-Key", "look"))).Is(422, "idempotency_key_reused");
        (await Rest.PostAsync("/api/v1/projections/daily_totals/resume", "")).Is(200);
        Assert.Equal("running", await StateAsync("daily_totals"));
        (await Rest.PostAsync("/api/v1/projections/daily_totals/partitions/0/retry", "")).Is(409, "partition_not_parked");
        (await Rest.PostAsync("/api/v1/projections/daily_totals/partitions/0/skip", """{"position": 1}""")).Is(409, "partition_not_parked");
        (await Rest.PostAsync("/api/v1/projections/daily_totals/partitions/0/skip", "{}")).Is(400, "malformed_request");
        (await Rest.PostAsync("/api/v1/projections/daily_totals/partitions/99/retry", "")).Is(404, "projection_not_found");
        (await Rest.PostAsync("/api/v1/projections/nothing/rebuild", "")).Is(404, "projection_not_found");

        var acts = new List<string>();
        for (var from = 1L; ;)
        {
            var page = (await Rest.GetAsync($"/api/v1/events?limit=1000&from_position={from}")).Is(200).Body!;
            acts.AddRange(page["items"]!.AsArray()
                .Where(e => (string?)e!["stream_id"] == "projection-daily_totals")
                .Select(e => $"{e!["event_type"]} {e["data"]!["reason"]}"));
            if (page["next_position"] is not { } next)
                break;
            from = (long)next;
        }

        Assert.Equal(["ProjectionPaused a look", "ProjectionResumed "], acts);
    }

    private async Task<string?> StateAsync(string projection) => (string?)(await Rest.GetAsync("/api/v1/projections")).Is(200)
        .Body!["items"]!.AsArray().Single(p => (string?)p!["name"] == projection)!["state"];
}
