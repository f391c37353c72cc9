using Bank.Testing;
using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>What is said when a grain's answer does not come in time.</summary>
public sealed class LateAnswerTests(PrivatePostgres postgres)
{
    [Fact]
    public async Task A_command_whose_answer_is_late_may_have_happened_and_its_retry_says_that_it_has()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var bank = await TestBank.StartAsync(
            database,
            [
                // Longer than the head is held here, so that the command waits in the journal, and not its client.
                new("Journal:HeadPatience", "00:00:20"),
                new("Journal:CallTimeout", "00:00:24"),
                new("Journal:WriteBudget", "00:00:28"),
                new("Gateway:AnswerWithin", "00:00:01.5"),
            ]);
        var rest = bank.Rest;
        var id = await Eventually.UntilAsync(
            "an account is opened in time",
            async () => (await rest.PostAsync(
                "/api/v1/accounts", """{"owner_name": "J", "initial_deposit": "100"}""", ("Idempotency-Key", "o")))
                .Is(201).Id("account_id"),
            _ => true,
            TimeSpan.FromSeconds(60));

        await using (await HeldHead.TakeAsync(database.Owner))
        {
            var unknown = (await rest.WithdrawAsync(id, "60", "slow")).Is(503, "outcome_unknown");
            Assert.Equal("1", unknown.Headers["Retry-After"]);
            Assert.Equal("application/problem+json", unknown.Headers["Content-Type"]);
            // What cannot be confirmed is not answered from memory.
            (await rest.GetOnceAsync($"/api/v1/accounts/{id}?consistency=strong")).Is(503, "journal_unavailable");
            Assert.Equal("unready", (await rest.GetAsync("/health/ready")).Is(503).Text("status"));
        }

        var retried = await Eventually.UntilAsync(
            "the retry is answered in time",
            () => rest.WithdrawAsync(id, "60", "slow"),
            answer => answer.Status == 200,
            TimeSpan.FromSeconds(60));
        Assert.True(retried.IsReplay);
        Assert.Equal("40.00", retried.Text("balance"));
    }
}
