using System.Collections.Concurrent;
using Bank.Contracts;
using Bank.Testing;
using Xunit;

namespace Bank.Grains.Tests.Accounts;

/// <summary>Snapshots of accounts are disposable.</summary>
public sealed class SnapshotTests(BankSilo bank) : IClassFixture<BankSilo>
{
    private const int Deposits = 120;

    [Fact]
    public async Task Whatever_happens_to_its_snapshot_an_account_reads_the_same_and_knows_its_commands()
    {
        string[] damages =
        [
            "DELETE FROM journal.snapshots WHERE stream_id = '{0}'",
            "UPDATE journal.snapshots SET data = substr(data, 1, length(data) / 2) WHERE stream_id = '{0}'",
            "UPDATE journal.snapshots SET data = set_bit(data, 300, 1 - get_bit(data, 300)) WHERE stream_id = '{0}'",
            """
            UPDATE journal.snapshots SET data = convert_to(regexp_replace(
                convert_from(data, 'UTF8'), '"balance":"[0-9.]+"', '"balance":"9999.99"'), 'UTF8')
            WHERE stream_id = '{0}' AND convert_from(data, 'UTF8') ~ '"balance":"[0-9.]+"'
            """,
            "UPDATE journal.snapshots SET fold_version = fold_version + 1 WHERE stream_id = '{0}'",
            "UPDATE journal.snapshots SET event_id = gen_random_uuid() WHERE stream_id = '{0}'",
            "SELECT count(*) FROM journal.snapshots WHERE stream_id = '{0}'",
        ];
        var accounts = damages.Select(_ => Guid.NewGuid()).ToArray();
        var last = new ConcurrentDictionary<Guid, Guid>();
        await Task.WhenAll(accounts.Select(async id =>
        {
            var account = bank.Grains.GetGrain<IBankAccountGrain>(id);
            await account.Open("Ada", "USD", new(1, 0), new(Guid.NewGuid()));
            var replies = await Task.WhenAll(
                Enumerable.Range(1, Deposits).Select(n => account.Deposit(new(n, 2), "", new(last[id] = Guid.NewGuid()))));
            Assert.All(replies, reply => Assert.Equal(ReplyStatus.Done, reply.Status));
        }));
        await Eventually.UntilAsync(
            "each account has its snapshot",
            () => bank.ScalarAsync<long>("SELECT count(*) FROM journal.snapshots WHERE stream_id LIKE 'account-%'"),
            count => count == damages.Length,
            TimeSpan.FromSeconds(60));
        var before = await ReadAsync(bank.Grains);

        foreach (var (damage, account) in damages.Zip(accounts))
        {
            await using var command = bank.App.CreateCommand(string.Format(null, damage, $"account-{account}"));
            var changed = await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
            Assert.True(changed == 1 || damage.StartsWith("SELECT", StringComparison.Ordinal), damage);
        }

        await using var another = await bank.StartAsync("another");
        Assert.Equal(before, await ReadAsync(another.Grains));
        foreach (var account in accounts)
        {
            var replayed = await another.Grains.GetGrain<IBankAccountGrain>(account).Deposit(new(Deposits, 2), "", new(last[account]));
            Assert.Equal((ReplyStatus.Done, true), (replayed.Status, replayed.Replayed));
        }

        async Task<List<AccountSnapshot>> ReadAsync(IGrainFactory grains)
        {
            var read = new List<AccountSnapshot>();
            foreach (var account in accounts)
                read.Add((await grains.GetGrain<IBankAccountGrain>(account).Read()).Account! with { AsOf = 0 });
            return read;
        }
    }
}
