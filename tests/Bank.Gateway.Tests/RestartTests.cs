using Bank.Testing;
using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>What was promised to a key outlives the silo that promised it.</summary>
public sealed class RestartTests(PrivatePostgres postgres)
{
    private static readonly KeyValuePair<string, string?>[] SmallWindow =
        [new("Bank:RecentCommands", "4"), new("Bank:TransferAnswerAfter", "00:00:20")];

    [Fact]
    public async Task Retries_are_answered_alike_after_a_restart_and_on_another_silo()
    {
        var database = await postgres.CreateDatabaseAsync();
        (string, string) key = ("Idempotency-Key", "open");
        const string body = """{"owner_name": "J", "initial_deposit": "100"}""";
        Answer opened, withdrawn, transferred;
        Guid id, other;
        await using (var bank = await TestBank.StartAsync(database, SmallWindow))
        {
            opened = (await bank.Rest.PostAsync("/api/v1/accounts", body, key)).Is(201);
            id = opened.Id("account_id");
            other = await bank.Rest.OpenAsync();
            withdrawn = (await bank.Rest.WithdrawAsync(id, "80", "w")).Is(200);
            transferred = await bank.Rest.TransferAsync(id, other, "10", "t");
            for (var i = 0; i < 50; i++)
                (await bank.Rest.DepositAsync(id, "0.01")).Is(200);
        }

        await using var first = await TestBank.StartAsync(database, SmallWindow);
        await using var second = await TestBank.StartAsync(database, SmallWindow);
        foreach (var bank in (TestBank[])[first, second])
        {
            RetryTests.AssertReplay(opened, await bank.Rest.PostAsync("/api/v1/accounts", body, key));
            RetryTests.AssertReplay(withdrawn, await bank.Rest.WithdrawAsync(id, "80", "w"));
            (await bank.Rest.WithdrawAsync(id, "79", "w")).Is(422, "idempotency_key_reused");
            (await bank.Rest.DepositAsync(id, "80", "w")).Is(422, "idempotency_key_reused");
            (await bank.Rest.WithdrawAsync(id, "80", "x")).Is(422, "insufficient_funds");
            var again = (await bank.Rest.TransferAsync(id, other, "10", "t")).Is(200);
            Assert.True(again.IsReplay);
            Assert.Equal(("completed", "10.00"), (again.Text("status"), again.Text("balance")));
            Assert.Equal(transferred.Id("transfer_id"), again.Id("transfer_id"));
        }

        // One that is done through the first is known through the second.
        var done = (await first.Rest.DepositAsync(other, "1", "d")).Is(200);
        RetryTests.AssertReplay(done, await second.Rest.DepositAsync(other, "1", "d"));
    }
}
