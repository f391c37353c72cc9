using Bank.Testing;
using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>The database is away for a while, and comes back.</summary>
public sealed class OutageTests(PrivatePostgres postgres)
{
    [Fact]
    public async Task While_the_database_is_away_everything_is_answered_with_a_code_to_retry_on_and_afterwards_all_is_well()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var proxy = new TcpProxy(database.App);
        await using var bank = await TestBank.StartAsync(
            proxy.Through(database.App),
            [
                new("Journal:HeadPatience", "00:00:00.3"), new("Journal:CallTimeout", "00:00:00.5"), new("Journal:WriteBudget", "00:00:01"),
            ]);
        var rest = bank.Rest;
        var id = await rest.OpenAsync("100");
        var other = await rest.OpenAsync();
        var keyless = (await rest.PostAsync($"/api/v1/accounts/{id}/withdraw", """{"amount": "10"}""")).Is(200).Headers["Idempotency-Key"];

        proxy.Refusing = true;
        proxy.CutAll();
        // It was done, though nobody can confirm that now.
        (await rest.WithdrawAsync(id, "10", keyless)).Is(503, "outcome_unknown");
        string[] legal = ["journal_unavailable", "outcome_unknown"];
        Answer[] commands =
        [
            await rest.WithdrawAsync(id, "60", "w"),
            await rest.PostAsync("/api/v1/accounts", """{"owner_name": "J"}""", ("Idempotency-Key", "o")),
            await rest.TransferAsync(id, other, "10", "t"),
        ];
        Assert.All(commands, answer => Assert.Contains(answer.Is(503, answer.Code).Code, legal));
        string[] queries = [$"/accounts/{id}", "/accounts", $"/accounts/{id}/events", "/events", "/transfers", $"/transfers/{id}"];
        foreach (var query in queries)
        {
            var answer = await rest.GetOnceAsync($"/api/v1{query}");
            Assert.Contains(answer.Is(503, answer.Code).Code, (string[])["journal_unavailable", "read_model_behind"]);
            Assert.Equal("1", answer.Headers["Retry-After"]);
        }

        Assert.Equal("unready", (await rest.GetAsync("/health/ready")).Is(503).Text("status"));
        (await rest.GetAsync("/health/live")).Is(200);

        proxy.Refusing = false;
        await Eventually.UntilAsync(
            "the bank is ready", async () => (await rest.GetAsync("/health/ready")).Body!["status"]!.ToString(),
            status => status == "ready", TimeSpan.FromSeconds(60));
        // Each is done once, whether it had been or not.
        Assert.True((await rest.WithdrawAsync(id, "10", keyless)).Is(200).IsReplay);
        (await rest.WithdrawAsync(id, "60", "w")).Is(200);
        (await rest.PostAsync("/api/v1/accounts", """{"owner_name": "J"}""", ("Idempotency-Key", "o"))).Is(201);
        Assert.Equal("30.00", (await rest.AccountAsync(id)).Text("balance"));
    }
}
