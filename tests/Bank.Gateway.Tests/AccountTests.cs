using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>What accounts answer to those who ask well.</summary>
[Collection(OneBank.Name)]
public sealed class AccountTests(OneBank.Fixture shared)
{
    private const string Time = @"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$";

    private RestClient Rest => shared.Bank.Rest;

    [Fact]
    public async Task An_account_is_opened_moved_and_closed()
    {
        var opened = (await Rest.PostAsync("/api/v1/accounts", """{"owner_name": "Jo Ann", "initial_deposit": "10.5"}""")).Is(201);
        var id = opened.Id("account_id");
        Assert.Equal($"/api/v1/accounts/{id}", opened.Headers["Location"]);
        Assert.Equal(["account_id", "balance", "currency", "version", "position"], Fields(opened.Body));
        Assert.Equal(("10.50", "USD", 1), (opened.Text("balance"), opened.Text("currency"), opened.Number("version")));

        var deposit = (await Rest.DepositAsync(id, "5")).Is(200);
        Assert.Equal(["account_id", "event_id", "balance", "version", "position"], Fields(deposit.Body));
        Assert.Equal(("15.50", 2), (deposit.Text("balance"), deposit.Number("version")));
        Assert.True(deposit.Number("position") > opened.Number("position"));

        var withdrawal = (await Rest.WithdrawAsync(id, "15.50")).Is(200);
        Assert.Equal("0.00", withdrawal.Text("balance"));

        var closed = (await Rest.PostAsync($"/api/v1/accounts/{id}/close", "")).Is(200);
        Assert.Equal(["account_id", "event_id", "balance", "version", "position", "status"], Fields(closed.Body));
        Assert.Equal(("0.00", "closed", 4), (closed.Text("balance"), closed.Text("status"), closed.Number("version")));

        var account = (await Rest.AccountAsync(id)).Is(200);
        Assert.Equal(
            ["account_id", "owner_name", "balance", "currency", "status", "version", "opened_at", "updated_at", "as_of_position"],
            Fields(account.Body));
        Assert.Equal("\"4\"", account.Headers["ETag"]);
        Assert.Equal(("Jo Ann", "closed"), (account.Text("owner_name"), account.Text("status")));
        Assert.Matches(Time, account.Text("opened_at"));
        Assert.Matches(Time, account.Text("updated_at"));
        Assert.True(account.Number("as_of_position") >= closed.Number("position"));
    }

    [Fact]
    public async Task Amounts_have_the_digits_of_their_currency()
    {
        var yen = await Rest.OpenAsync("5", "JPY");
        var dinar = await Rest.OpenAsync("5", "BHD");
        Assert.Equal("6", (await Rest.DepositAsync(yen, "1")).Is(200).Text("balance"));
        Assert.Equal("5.001", (await Rest.DepositAsync(dinar, "0.001")).Is(200).Text("balance"));
    }

    [Fact]
    public async Task The_largest_body_and_the_longest_texts_are_taken()
    {
        var wide = string.Concat(Enumerable.Repeat("😀", 500));
        var id = (await Rest.PostAsync(
            "/api/v1/accounts", new JsonObject { ["owner_name"] = string.Concat(Enumerable.Repeat("é", 200)) }.ToJsonString())).Is(201)
            .Id("account_id");
        var body = new JsonObject { ["amount"] = "10000000000000.00", ["description"] = wide }.ToJsonString();
        var padded = body + new string(' ', (16 * 1024) - Encoding.UTF8.GetByteCount(body));
        (await Rest.PostAsync($"/api/v1/accounts/{id}/deposit", padded)).Is(200);
        var events = (await Rest.GetAsync($"/api/v1/accounts/{id}/events?from_version=2")).Is(200);
        Assert.Equal(wide, (string?)events.Body!["items"]![0]!["data"]!["description"]);
    }

    [Fact]
    public async Task A_request_on_condition_of_a_version_is_done_at_that_version_only()
    {
        var id = await Rest.OpenAsync("10");
        (await ConditionalAsync(id, "\"2\"", "a")).Is(412, "precondition_failed");
        (await ConditionalAsync(id, "\"1\"", "a")).Is(200);
        // The retry names the version that the client knew; what it did itself is no reason to refuse it.
        Assert.True((await ConditionalAsync(id, "\"1\"", "a")).Is(200).IsReplay);
        (await ConditionalAsync(id, "\"1\"", "b")).Is(412, "precondition_failed");
        (await ConditionalAsync(id, "*", "b")).Is(200);
    }

    [Fact]
    public async Task The_audit_trail_is_read_a_page_at_a_time()
    {
        var id = await Rest.OpenAsync("10");
        for (var i = 0; i < 4; i++)
            (await Rest.DepositAsync(id, "1")).Is(200);

        var first = (await Rest.GetAsync($"/api/v1/accounts/{id}/events?limit=3")).Is(200);
        Assert.Equal(["items", "next_version"], Fields(first.Body));
        Assert.Equal([1, 2, 3], Numbers(first, "version"));
        var second = (await Rest.GetAsync($"/api/v1/accounts/{id}/events?limit=3&from_version={first.Number("next_version")}")).Is(200);
        Assert.Equal([4, 5], Numbers(second, "version"));
        Assert.Null(second.Body!["next_version"]);
        Assert.Empty((await Rest.GetAsync($"/api/v1/accounts/{id}/events?from_version=6")).Is(200).Body!["items"]!.AsArray());

        var opening = first.Body!["items"]![0]!;
        Assert.Equal(
            ["event_id", "stream_id", "version", "position", "event_type", "schema_version", "data", "metadata", "recorded_at"],
            Fields(opening));
        Assert.Equal($"account-{id}", (string?)opening["stream_id"]);
        Assert.Equal(
            """{"balance_after":"10.00","currency":"USD","initial_deposit":"10.00","owner_id":null,"owner_name":"John Doe"}""",
            new JsonObject(opening["data"]!.AsObject().OrderBy(f => f.Key).Select(
                f => KeyValuePair.Create(f.Key, f.Value?.DeepClone()))).ToJsonString());
        Assert.NotNull(opening["metadata"]!["correlation_id"]);
        Assert.Matches(Time, (string?)opening["recorded_at"]);

        var one = (await Rest.GetAsync($"/api/v1/events/{(string?)opening["event_id"]}")).Is(200);
        Assert.Equal(opening.ToJsonString(), one.Body!.ToJsonString());
    }

    [Fact]
    public async Task The_global_feed_is_dense_and_begins_where_it_is_told()
    {
        var from = (await Rest.DepositAsync(await Rest.OpenAsync(), "1")).Number("position");
        await Rest.OpenAsync();
        var page = (await Rest.GetAsync($"/api/v1/events?from_position={from}&limit=2")).Is(200);
        Assert.Equal(["items", "next_position"], Fields(page.Body));
        Assert.Equal([from, from + 1], Numbers(page, "position"));
        Assert.Null(page.Body!["next_position"]);
        Assert.Equal(2, (await Rest.GetAsync("/api/v1/events?limit=1")).Is(200).Number("next_position"));
    }

    [Fact]
    public async Task Accounts_are_listed_in_order_of_opening_by_owner_and_status()
    {
        var owner = $"Ann {Guid.NewGuid()}";
        var ids = new List<Guid>();
        for (var i = 0; i < 5; i++)
            ids.Add(await Rest.OpenAsync(i == 3 ? "0" : "7", owner: owner));
        (await Rest.CloseAsync(ids[3])).Is(200);

        var listed = new List<Guid>();
        var next = "";
        do
        {
            var page = (await Rest.GetAsync($"/api/v1/accounts?owner={Uri.EscapeDataString(owner)}&limit=2{next}")).Is(200);
            Assert.Equal(["items", "next_cursor", "as_of_position"], Fields(page.Body));
            listed.AddRange(page.Body!["items"]!.AsArray().Select(item => Guid.Parse((string)item!["account_id"]!)));
            next = page.Body["next_cursor"] is { } cursor ? $"&cursor={cursor}" : "";
        }
        while (next.Length > 0);
        Assert.Equal(ids, listed);

        var closed = (await Rest.GetAsync($"/api/v1/accounts?owner={Uri.EscapeDataString(owner)}&status=closed")).Is(200);
        var item = Assert.Single(closed.Body!["items"]!.AsArray())!;
        // As the account itself shows, but for the position of the answer.
        var account = (await Rest.AccountAsync(ids[3])).Is(200).Body!;
        Assert.Equal(Fields(account), Fields(item));
        foreach (var field in Fields(account).Where(field => field != "as_of_position"))
            Assert.Equal(account[field]!.ToJsonString(), item[field]!.ToJsonString());
        Assert.Empty((await Rest.GetAsync($"/api/v1/accounts?owner={Uri.EscapeDataString(owner[..^1])}")).Body!["items"]!.AsArray());
    }

    [Fact]
    public async Task A_query_waits_for_the_position_that_it_is_asked_to_know_of_and_says_when_it_does_not_come()
    {
        var id = await Rest.OpenAsync("1");
        var head = await shared.Bank.HeadAsync();
        string[] queries = [$"/accounts/{id}", "/accounts", $"/accounts/{id}/events", "/events", "/transfers"];
        foreach (var query in queries)
        {
            (await Rest.GetAsync($"/api/v1{query}?min_position={head}")).Is(200);
            var behind = (await Rest.GetOnceAsync($"/api/v1{query}?min_position={head + 1000}")).Is(503, "read_model_behind");
            Assert.Equal("1", behind.Headers["Retry-After"]);
        }

        Assert.Equal("1.00", (await Rest.GetAsync($"/api/v1/accounts/{id}?consistency=strong")).Is(200).Text("balance"));
    }

    [Fact]
    public async Task A_page_of_its_own_origin_and_a_client_without_one_are_served()
    {
        var (name, value) = ("Origin", shared.Bank.Address.GetLeftPart(UriPartial.Authority));
        (await Rest.PostAsync("/api/v1/accounts", """{"owner_name": "J"}""", (name, value))).Is(201);
        using var http = new HttpClient { BaseAddress = shared.Bank.Address };
        using var form = new StringContent("""{"owner_name": "J"}""", Encoding.UTF8, "application/x-www-form-urlencoded");
        using var asForm = await http.PostAsync("/api/v1/accounts", form, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.Created, asForm.StatusCode);
    }

    [Fact]
    public async Task The_bank_is_ready_and_says_of_what()
    {
        Assert.Equal("live", (await Rest.GetAsync("/health/live")).Is(200).Text("status"));
        var ready = (await Rest.GetAsync("/health/ready")).Is(200);
        Assert.Equal("ready", ready.Text("status"));
        Assert.Subset(Fields(ready.Body!["checks"]).ToHashSet(), new HashSet<string> { "process", "journal", "transfers", "projections" });
    }

    private Task<Answer> ConditionalAsync(Guid account, string tag, string key) => Rest.PostAsync(
        $"/api/v1/accounts/{account}/deposit", """{"amount": "1"}""", ("If-Match", tag), ("Idempotency-Key", key));

    private static string[] Fields(JsonNode? node) => [.. node!.AsObject().Select(field => field.Key)];

    private static long[] Numbers(Answer page, string field) =>
        [.. page.Body!["items"]!.AsArray().Select(item => (long)item![field]!)];
}
