using Bank.Testing;
using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>Transfers whose client does not wait, and commands that come while another of the same key is under way.</summary>
public sealed class ImpatientTests(ImpatientTests.Fixture shared) : IClassFixture<ImpatientTests.Fixture>
{
    public sealed class Fixture(PrivatePostgres postgres) : IAsyncLifetime
    {
        public TestDatabase Database { get; private set; } = null!;

        public TestBank Bank { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            Database = await postgres.CreateDatabaseAsync();
            Bank = await TestBank.StartAsync(
                Database,
                [
                    // At once, so that no transfer is ever quick enough.
                    new("Bank:TransferAnswerAfter", "00:00:00"),
                    // Nobody is to be cut off for holding the head as long as these tests do.
                    new("Journal:HeadPatience", "00:00:15"),
                    new("Journal:CallTimeout", "00:00:18"),
                    new("Journal:WriteBudget", "00:00:25"),
                ]);
        }

        public ValueTask DisposeAsync() => Bank is null ? ValueTask.CompletedTask : Bank.DisposeAsync();
    }

    private RestClient Rest => shared.Bank.Rest;

    [Fact]
    public async Task A_transfer_that_takes_its_time_is_accepted_and_shows_its_end_at_the_place_that_it_names()
    {
        var (from, to) = (await Rest.OpenAsync("100"), await Rest.OpenAsync());
        var accepted = (await Rest.TransferAsync(from, to, "30", "t")).Is(202);
        var id = accepted.Id("transfer_id");
        Assert.Equal("running", accepted.Text("status"));
        Assert.Null(accepted.Body!["balance"]);
        Assert.True(accepted.Number("position") > 0);
        Assert.Equal($"/api/v1/transfers/{id}", accepted.Headers["Location"]);

        var transfer = await Transfers.EndedAsync(Rest, accepted.Headers["Location"]);
        Assert.Equal("completed", (string?)transfer["status"]);
        var again = (await Rest.TransferAsync(from, to, "30", "t")).Is(200);
        Assert.True(again.IsReplay);
        Assert.Equal(("completed", "70.00", id), (again.Text("status"), again.Text("balance"), again.Id("transfer_id")));
    }

    [Fact]
    public async Task A_transfer_that_is_accepted_and_then_refused_tells_the_retry_so()
    {
        var (from, to) = (await Rest.OpenAsync("1"), await Rest.OpenAsync());
        var accepted = (await Rest.TransferAsync(from, to, "30", "t")).Is(202);
        await Transfers.EndedAsync(Rest, accepted.Headers["Location"]);
        (await Rest.TransferAsync(from, to, "30", "t")).Is(422, "insufficient_funds");
    }

    [Fact]
    public async Task A_duplicate_of_a_command_in_flight_awaits_the_same_commit_whatever_its_body_and_is_judged_then()
    {
        var id = await Rest.OpenAsync("100");
        Task<Answer>[] same;
        Task<Answer> other;
        await using (var head = await HeldHead.TakeAsync(shared.Database.Owner))
        {
            same = [.. Enumerable.Range(0, 8).Select(_ => Rest.WithdrawAsync(id, "60", "once"))];
            await head.IsAwaitedAsync();
            other = Rest.WithdrawAsync(id, "61", "once");
            Assert.DoesNotContain(same, answer => answer.IsCompleted);
        }

        var answers = await Task.WhenAll(same);
        var first = Assert.Single(answers, answer => !answer.Is(200).IsReplay);
        Assert.All(answers, answer => Assert.Equal(first.Body!.ToJsonString(), answer.Body!.ToJsonString()));
        (await other).Is(422, "idempotency_key_reused");
        Assert.Equal("40.00", (await Rest.AccountAsync(id)).Text("balance"));
    }
}
