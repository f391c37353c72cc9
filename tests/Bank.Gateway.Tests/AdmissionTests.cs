using Bank.Testing;
using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>More commands than the gateway takes at a time, here three.</summary>
public sealed class AdmissionTests(PrivatePostgres postgres)
{
    [Fact]
    public async Task Commands_beyond_those_that_are_taken_are_refused_at_once_and_leave_no_trace()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var bank = await TestBank.StartAsync(
            database,
            [
                new("Gateway:CommandsInFlight", "3"),
                // Nobody is to be cut off for holding the head as long as this test does.
                new("Journal:HeadPatience", "00:00:15"),
                new("Journal:CallTimeout", "00:00:18"),
                new("Journal:WriteBudget", "00:00:25"),
            ]);
        var id = await bank.Rest.OpenAsync("100");
        List<Task<Answer>> all;
        await using (await HeldHead.TakeAsync(database.Owner))
        {
            all = [.. Enumerable.Range(0, 10).Select(_ => bank.Rest.DepositAsync(id, "1"))];
            await Eventually.UntilAsync(
                "seven of ten commands were answered while the journal was held",
                () => Task.FromResult(all.Count(answer => answer.IsCompleted)),
                answered => answered >= 7,
                TimeSpan.FromSeconds(60));
            foreach (var refused in all.Where(answer => answer.IsCompleted))
                Assert.Equal("1", (await refused).Is(503, "overloaded").Headers["Retry-After"]);
            Assert.Equal(3, all.Count(answer => !answer.IsCompleted));
            (await bank.Rest.AccountAsync(id)).Is(200);
        }

        var answers = await Task.WhenAll(all);
        Assert.Equal([101m, 102m, 103m], answers.Where(a => a.Status == 200).Select(a => decimal.Parse(a.Text("balance"), null)).Order());
        Assert.Equal("104.00", (await bank.Rest.DepositAsync(id, "1")).Is(200).Text("balance"));
    }
}
