using Bank.Contracts;
using Xunit;

namespace Bank.Grains.Tests.Accounts;

/// <summary>Everybody wants the same account at once.</summary>
public sealed class HotAccountTests(BankSilo bank) : IClassFixture<BankSilo>
{
    private const int Commands = 10_000;

    [Fact]
    public async Task Ten_thousand_commands_at_once_leave_one_account_with_every_version_once_and_every_balance_right()
    {
        var id = Guid.NewGuid();
        var account = bank.Grains.GetGrain<IBankAccountGrain>(id);
        await account.Open("Ada", "USD", new(1_000_000, 0), new(Guid.NewGuid()));

        // Amounts that differ, so that one taken for another shows; every third one a withdrawal.
        long[] changes = [.. Enumerable.Range(1, Commands).Select(n => n % 3 == 0 ? -n : n)];
        var replies = await Task.WhenAll(changes.Select(change => DoneAsync(account, change)));

        Assert.Equal(Enumerable.Range(2, Commands).Select(version => (long)version), replies.Select(reply => reply.Version).Order());
        var balance = 100_000_000L;
        foreach (var (reply, change) in replies.Zip(changes).OrderBy(done => done.First.Version))
            Assert.Equal(balance += change, reply.BalanceMinorUnits);
        var read = await account.Read();
        Assert.Equal((balance, Commands + 1), (read.Account!.BalanceMinorUnits, read.Account.Version));
        Assert.Equal(
            (100_000_000L + changes.Sum(), $"{Commands + 1} 1 {Commands + 1}"),
            (balance, await bank.ScalarAsync<string>(
                $"""
                SELECT count(*) || ' ' || min(version) || ' ' || max(version) FROM journal.events WHERE stream_id = 'account-{id}'
                """)));
    }

    private static async Task<CommandReply> DoneAsync(IBankAccountGrain account, long change)
    {
        var context = new CommandContext(Guid.NewGuid());
        while (true)
        {
            var reply = change < 0
                ? await account.Withdraw(new(-change, 2), "", context)
                : await account.Deposit(new(change, 2), "", context);
            // A machine that is busy with other things may say that it is; the same command again is still one command.
            if (reply.Status is not (ReplyStatus.Overloaded or ReplyStatus.JournalUnavailable or ReplyStatus.OutcomeUnknown))
            {
                Assert.Equal(ReplyStatus.Done, reply.Status);
                return reply;
            }
        }
    }
}
