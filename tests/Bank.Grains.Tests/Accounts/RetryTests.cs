using Bank.Contracts;
using Bank.Testing;
using Xunit;

namespace Bank.Grains.Tests.Accounts;

/// <summary>Accounts that remember four commands, so that most retries have to ask the journal.</summary>
public sealed class ForgetfulBank(PrivatePostgres postgres) : BankSilo(postgres)
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings => [new("Bank:RecentCommands", "4")];
}

/// <summary>Commands that come again: in flight, at once, much later, elsewhere.</summary>
public sealed class RetryTests(ForgetfulBank bank) : IClassFixture<ForgetfulBank>
{
    private readonly Guid _id = Guid.NewGuid();

    private IBankAccountGrain Account => bank.Grains.GetGrain<IBankAccountGrain>(_id);

    [Fact]
    public async Task A_withdrawal_whose_reply_was_lost_is_done_however_many_commands_came_after_it_and_wherever_it_is_retried()
    {
        var (opening, withdrawal) = (Guid.NewGuid(), Guid.NewGuid());
        var opened = await Account.Open("Ada", "USD", new(10_000, 2), new(opening));
        var lost = await Account.Withdraw(new(100, 0), "rent", new(withdrawal));
        Assert.Equal((ReplyStatus.Done, 0L, 2L, false), (lost.Status, lost.BalanceMinorUnits, lost.Version, lost.Replayed));
        for (var i = 0; i < 50; i++)
            Assert.Equal(ReplyStatus.Done, (await Account.Deposit(new(1, 0), "", new(Guid.NewGuid()))).Status);

        await AnswersAsync(bank.Grains);
        // An activation of another cluster, which knows the account by the journal only; then one after a restart.
        for (var life = 1; life <= 2; life++)
        {
            await using var silo = await bank.StartAsync("another");
            await AnswersAsync(silo.Grains);
        }

        Assert.Equal(52, await bank.ScalarAsync<long>($"SELECT count(*) FROM journal.events WHERE stream_id = 'account-{_id}'"));

        async Task AnswersAsync(IGrainFactory grains)
        {
            var account = grains.GetGrain<IBankAccountGrain>(_id);
            Assert.Equal(lost with { Replayed = true }, await account.Withdraw(new(10_000, 2), "rent", new(withdrawal)));
            Assert.Equal(opened with { Replayed = true }, await account.Open("Ada", "USD", new(100, 0), new(opening)));
            Assert.Equal(ReplyStatus.KeyReused, (await account.Withdraw(new(99, 0), "rent", new(withdrawal))).Status);
            Assert.Equal(ReplyStatus.KeyReused, (await account.Withdraw(new(100, 0), "food", new(withdrawal))).Status);
            Assert.Equal(ReplyStatus.KeyReused, (await account.Deposit(new(100, 0), "rent", new(withdrawal))).Status);
            Assert.Equal("insufficient_funds", (await account.Withdraw(new(100, 0), "rent", new(Guid.NewGuid()))).Code);
            var read = await account.Read();
            Assert.Equal((5_000L, 52L), (read.Account!.BalanceMinorUnits, read.Account.Version));
        }
    }

    [Fact]
    public async Task Duplicates_that_come_at_once_are_one_withdrawal()
    {
        await Account.Open("Ada", "USD", new(100, 0), new(Guid.NewGuid()));
        var command = Guid.NewGuid();

        var replies = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Account.Withdraw(new(60, 0), "", new(command))));

        Assert.All(replies, reply =>
            Assert.Equal((ReplyStatus.Done, 4_000L, command), (reply.Status, reply.BalanceMinorUnits, reply.EventId)));
        Assert.Single(replies, reply => !reply.Replayed);
        Assert.Equal(2, (await Account.Read()).Account!.Version);
    }

    [Fact]
    public async Task Of_two_bodies_under_one_id_that_come_at_once_one_is_done_and_the_other_told_so()
    {
        await Account.Open("Ada", "USD", new(100, 0), new(Guid.NewGuid()));
        var command = Guid.NewGuid();

        var replies = await Task.WhenAll(
            Account.Withdraw(new(60, 0), "", new(command)), Account.Withdraw(new(50, 0), "", new(command)));

        Assert.Equal([ReplyStatus.Done, ReplyStatus.KeyReused], replies.Select(reply => reply.Status).Order());
        Assert.Equal(2, (await Account.Read()).Account!.Version);
    }

    [Fact]
    public async Task What_was_refused_is_not_done_by_a_copy_that_was_sent_before_and_comes_late_but_by_a_later_attempt()
    {
        var (command, sent) = (Guid.NewGuid(), DateTimeOffset.UnixEpoch);
        await Account.Open("Ada", "USD", new(100, 0), new(Guid.NewGuid()));
        // By two copies of one attempt.
        for (var copy = 0; copy < 2; copy++)
            Assert.Equal("insufficient_funds", (await WithdrawAsync(sent.AddSeconds(2))).Code);
        await Task.WhenAll(Enumerable.Range(0, 500).Select(
            _ => Account.Withdraw(new(150, 0), "", new(Guid.NewGuid(), SentAt: sent.AddSeconds(30)))));
        await Account.Deposit(new(100, 0), "", new(Guid.NewGuid()));

        Assert.Equal(ReplyStatus.OutcomeUnknown, (await WithdrawAsync(sent.AddSeconds(1))).Status);
        Assert.Equal(2, (await Account.Read()).Account!.Version);
        var done = await WithdrawAsync(sent.AddSeconds(3));
        Assert.Equal((ReplyStatus.Done, 3L), (done.Status, done.Version));
        Assert.Equal(done with { Replayed = true }, await WithdrawAsync(sent.AddSeconds(1)));
        // Much later, all of that is forgotten.
        for (var i = 0; i < 2; i++)
            Assert.Equal("insufficient_funds", (await Account.Withdraw(
                new(150, 0), "", new(Guid.NewGuid(), SentAt: sent.AddMinutes(5 + i)))).Code);

        Task<CommandReply> WithdrawAsync(DateTimeOffset at) => Account.Withdraw(new(150, 0), "", new(command, SentAt: at));
    }

    [Fact]
    public async Task An_account_that_was_opened_elsewhere_is_found_by_an_activation_that_knew_of_none()
    {
        await using var another = await bank.StartAsync("another");
        var stale = another.Grains.GetGrain<IBankAccountGrain>(_id);
        Assert.Null((await stale.Read()).Account);
        Assert.Equal("account_not_found", (await stale.Deposit(new(1, 0), "", new(Guid.NewGuid()))).Code);
        var opening = Guid.NewGuid();
        var opened = await Account.Open("Ada", "EUR", new(1, 0), new(opening));

        Assert.Equal(opened with { Replayed = true }, await stale.Open("Ada", "EUR", new(100, 2), new(opening)));
        Assert.Equal((ReplyStatus.Done, 200L, "EUR"), await DepositAsync());

        async Task<(ReplyStatus, long, string?)> DepositAsync()
        {
            var reply = await Account.Deposit(new(1, 0), "", new(Guid.NewGuid()));
            return (reply.Status, reply.BalanceMinorUnits, reply.Currency);
        }
    }
}
