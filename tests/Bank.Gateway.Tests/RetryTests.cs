using System.Net.Sockets;
using System.Text;
using Bank.Testing;
using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>Retries: of what was done, of what was refused, of what is under way. The window of recent commands holds four.</summary>
[Collection(OneBank.Name)]
public sealed class RetryTests(OneBank.Fixture shared)
{
    private RestClient Rest => shared.Bank.Rest;

    [Fact]
    public async Task A_withdrawal_whose_reply_was_lost_is_answered_as_done_after_fifty_other_commands()
    {
        var id = await Rest.OpenAsync("100");
        await LoseReplyAsync(id, "80", "lost");
        for (var i = 0; i < 50; i++)
            (await Rest.DepositAsync(id, "0.01")).Is(200);

        // There are 20.50 left, so a decision of today would be insufficient_funds.
        var retried = (await Rest.WithdrawAsync(id, "80.00", "lost")).Is(200);
        Assert.True(retried.IsReplay);
        Assert.Equal(("20.00", 2), (retried.Text("balance"), retried.Number("version")));
        (await Rest.WithdrawAsync(id, "80", "another")).Is(422, "insufficient_funds");
        Assert.Equal("20.50", (await Rest.AccountAsync(id)).Text("balance"));
    }

    [Fact]
    public async Task Every_kind_of_command_is_done_once_and_answered_alike_however_often_it_is_sent()
    {
        (string, string) key = ("Idempotency-Key", $"open {Guid.NewGuid()}".Replace(' ', '-'));
        const string body = """{"owner_name": "J", "initial_deposit": "10"}""";
        var opened = (await Rest.PostAsync("/api/v1/accounts", body, key)).Is(201);
        var id = opened.Id("account_id");
        var deposited = (await Rest.DepositAsync(id, "5", "d")).Is(200);
        var withdrawn = (await Rest.WithdrawAsync(id, "15", "w")).Is(200);
        var closed = (await Rest.CloseAsync(id, "c")).Is(200);

        AssertReplay(opened, await Rest.PostAsync("/api/v1/accounts", body, key));
        AssertReplay(deposited, await Rest.DepositAsync(id, "5", "d"));
        AssertReplay(withdrawn, await Rest.WithdrawAsync(id, "15", "w"));
        AssertReplay(closed, await Rest.CloseAsync(id, "c"));
        Assert.Equal(4, (await Rest.AccountAsync(id)).Number("version"));
    }

    [Fact]
    public async Task The_same_key_with_another_command_is_refused_for_ever()
    {
        (string, string) key = ("Idempotency-Key", Guid.NewGuid().ToString());
        var id = (await Rest.PostAsync("/api/v1/accounts", """{"owner_name": "J", "initial_deposit": "10"}""", key)).Id("account_id");
        (await Rest.DepositAsync(id, "5", "d")).Is(200);
        for (var i = 0; i < 5; i++)
            (await Rest.DepositAsync(id, "1")).Is(200);

        (await Rest.PostAsync("/api/v1/accounts", """{"owner_name": "K", "initial_deposit": "10"}""", key))
            .Is(422, "idempotency_key_reused");
        (await Rest.DepositAsync(id, "6", "d")).Is(422, "idempotency_key_reused");
        (await Rest.PostAsync($"/api/v1/accounts/{id}/deposit", """{"amount": "5", "description": "x"}""", ("Idempotency-Key", "d")))
            .Is(422, "idempotency_key_reused");
        (await Rest.WithdrawAsync(id, "5", "d")).Is(422, "idempotency_key_reused");
        (await Rest.TransferAsync(id, await Rest.OpenAsync(), "5", "d")).Is(422, "idempotency_key_reused");
        // How many digits an amount is written in is no difference; and a key is an account's own.
        Assert.True((await Rest.DepositAsync(id, "5.00", "d")).Is(200).IsReplay);
        Assert.False((await Rest.DepositAsync(await Rest.OpenAsync(), "6", "d")).Is(200).IsReplay);
    }

    [Fact]
    public async Task A_refused_command_is_decided_again_when_it_is_sent_again()
    {
        var id = await Rest.OpenAsync("1");
        (await Rest.WithdrawAsync(id, "5", "w")).Is(422, "insufficient_funds");
        (await Rest.DepositAsync(id, "4")).Is(200);
        Assert.False((await Rest.WithdrawAsync(id, "5", "w")).Is(200).IsReplay);
    }

    [Fact]
    public async Task Of_many_that_come_at_once_with_one_key_one_is_done_and_all_are_answered_alike()
    {
        var id = await Rest.OpenAsync("100");
        var answers = await Task.WhenAll(Enumerable.Range(0, 32).Select(_ => Rest.WithdrawAsync(id, "60", "once")));
        var first = Assert.Single(answers, answer => !answer.Is(200).IsReplay);
        Assert.All(answers, answer => Assert.Equal(first.Body!.ToJsonString(), answer.Body!.ToJsonString()));
        Assert.Equal("40.00", (await Rest.AccountAsync(id)).Text("balance"));
    }

    internal static void AssertReplay(Answer first, Answer again)
    {
        again.Is(first.Status);
        Assert.False(first.IsReplay);
        Assert.True(again.IsReplay);
        Assert.Equal(first.Body!.ToJsonString(), again.Body!.ToJsonString());
        Assert.Equal(first.Headers.GetValueOrDefault("Location"), again.Headers.GetValueOrDefault("Location"));
    }

    // Nobody reads the answer of this connection, which is gone once the withdrawal is recorded.
    private async Task LoseReplyAsync(Guid account, string amount, string key)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(shared.Bank.Address.Host, shared.Bank.Address.Port, TestContext.Current.CancellationToken);
        var body = $$"""{"amount": "{{amount}}"}""";
        await client.GetStream().WriteAsync(
            Encoding.ASCII.GetBytes(
                $"POST /api/v1/accounts/{account}/withdraw HTTP/1.1\r\nHost: bank\r\nIdempotency-Key: {key}\r\n"
                + $"Content-Length: {body.Length}\r\n\r\n{body}"),
            TestContext.Current.CancellationToken);
        await Eventually.UntilAsync(
            "the withdrawal is recorded",
            async () => (await Rest.AccountAsync(account)).Number("version"),
            version => version == 2,
            TimeSpan.FromSeconds(60));
    }
}
