using System.Globalization;
using Bank.Contracts;
using Xunit;

namespace Bank.Grains.Tests.Accounts;

/// <summary>
/// Two clusters on one database, which know nothing of each other, so that every account is active twice and each of the two goes stale
/// all the time. The environment variable BANK_TWO_CLUSTERS_COMMANDS sets the number of commands.
/// </summary>
public sealed class TwoClustersTests(BankSilo bank) : IClassFixture<BankSilo>
{
    private const int Accounts = 50;
    private const int Workers = 64;

    private static readonly int Commands =
        int.Parse(Environment.GetEnvironmentVariable("BANK_TWO_CLUSTERS_COMMANDS") ?? "2000", CultureInfo.InvariantCulture);

    // By account, the highest version that anyone was told of.
    private readonly Guid[] _accounts = [.. Enumerable.Range(0, Accounts).Select(_ => Guid.NewGuid())];
    private readonly long[] _acknowledged = new long[Accounts];
    private readonly System.Collections.Concurrent.ConcurrentBag<Claim> _claims = [];

    /// <summary>What a reply has said of an account, to be held against the journal.</summary>
    /// <param name="Account">Which.</param>
    /// <param name="Known">The highest version that had been acknowledged before the question.</param>
    private abstract record Claim(int Account, long Known);

    private sealed record Done(int Account, long Known, Guid Command, long Change, CommandReply Reply) : Claim(Account, Known);

    private sealed record Insufficient(int Account, long Known, long Amount, long Latest) : Claim(Account, Known);

    private sealed record Read(int Account, long Known, AccountSnapshot Seen) : Claim(Account, Known);

    [Fact]
    public async Task Two_clusters_on_one_database_lose_nothing_double_nothing_and_contradict_nothing()
    {
        await using var another = await bank.StartAsync("another");
        IGrainFactory[] clusters = [bank.Grains, another.Grains];
        for (var i = 0; i < Accounts; i++)
            Assert.Equal(1, (await On(clusters[i % 2], i).Open("Ada", "USD", new(20, 0), new(Guid.NewGuid()))).Version);
        Array.Fill(_acknowledged, 1);

        var next = 0;
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(async worker =>
        {
            var random = new Random(worker);
            while (Interlocked.Increment(ref next) <= Commands)
                await CommandAsync(clusters, random);
        }));

        await HoldAgainstJournalAsync();
        var refusals = _claims.OfType<Insufficient>().Count();
        Assert.True(refusals > Commands / 100, $"only {refusals} refusals: nothing was proved about them");
    }

    private async Task CommandAsync(IGrainFactory[] clusters, Random random)
    {
        var (account, command, withdraws) = (random.Next(Accounts), Guid.NewGuid(), random.Next(2) == 0);
        var amount = random.Next(1, withdraws ? 1_500 : 500);
        CommandReply reply;
        long known;
        int cluster;
        do
        {
            // A conflict is a legal answer: the same command again, perhaps elsewhere, until it ends.
            cluster = random.Next(2);
            known = Volatile.Read(ref _acknowledged[account]);
            reply = await SendAsync(On(clusters[cluster], account), amount);
        }
        while (reply.Status == ReplyStatus.VersionConflict);

        if (reply is { Status: ReplyStatus.Refused, Code: "insufficient_funds" })
        {
            _claims.Add(new Insufficient(account, known, amount, await LatestAsync(account)));
            return;
        }

        Assert.Equal(ReplyStatus.Done, reply.Status);
        Acknowledge(account, reply.Version);
        _claims.Add(new Done(account, known, command, withdraws ? -amount : amount, reply));

        // The other one has not seen the command, and may be stale.
        var other = On(clusters[1 - cluster], account);
        switch (random.Next(4))
        {
            case 0:
                known = Volatile.Read(ref _acknowledged[account]);
                ReadReply read;
                do
                    read = await other.Read();
                while (read.Status == ReplyStatus.VersionConflict);
                _claims.Add(new Read(account, known, read.Account!));
                Acknowledge(account, read.Account!.Version);
                break;
            case 1:
                Assert.Equal(ReplyStatus.KeyReused, await AgainAsync(amount + 1));
                break;
            case 2:
                Assert.Equal(ReplyStatus.Done, await AgainAsync(amount));
                break;
        }

        Task<CommandReply> SendAsync(IBankAccountGrain grain, long cents) => withdraws
            ? grain.Withdraw(new(cents, 2), "", new(command))
            : grain.Deposit(new(cents, 2), "", new(command));

        async Task<ReplyStatus> AgainAsync(long cents)
        {
            CommandReply again;
            do
                again = await SendAsync(other, cents);
            while (again.Status == ReplyStatus.VersionConflict);
            if (again.Status == ReplyStatus.Done)
                Assert.Equal(reply with { Replayed = true }, again);
            return again.Status;
        }
    }

    private async Task HoldAgainstJournalAsync()
    {
        var histories = new Dictionary<int, List<(Guid Id, long Balance)>>();
        for (var i = 0; i < Accounts; i++)
        {
            var history = new List<(Guid Id, long Balance)> { (Guid.Empty, 0) };
            await using var command = bank.App.CreateCommand(
                $"""
                SELECT version, event_id, (data ->> 'balance_after')::numeric * 100 FROM journal.events
                WHERE stream_id = 'account-{_accounts[i]}' ORDER BY version
                """);
            await using var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
            while (await reader.ReadAsync(TestContext.Current.CancellationToken))
            {
                Assert.Equal(history.Count, reader.GetInt64(0));
                var balance = (long)reader.GetDecimal(2);
                Assert.True(balance >= 0, $"account {i} has {balance} at version {history.Count}");
                history.Add((reader.GetGuid(1), balance));
            }

            histories.Add(i, history);
        }

        foreach (var claim in _claims)
        {
            var history = histories[claim.Account];
            switch (claim)
            {
                case Done(_, _, var command, var change, var reply):
                    Assert.Equal((command, reply.BalanceMinorUnits), history[(int)reply.Version]);
                    Assert.Equal(change, history[(int)reply.Version].Balance - history[(int)reply.Version - 1].Balance);
                    break;
                case Read(_, var known, var seen):
                    Assert.True(seen.Version >= known, $"version {seen.Version} was read after version {known} was acknowledged");
                    Assert.Equal(history[(int)seen.Version].Balance, seen.BalanceMinorUnits);
                    break;
                case Insufficient(_, var known, var amount, var latest):
                    Assert.True(
                        history[(int)known..((int)latest + 1)].Any(state => state.Balance < amount),
                        $"{amount} were refused although versions {known} to {latest} of account {claim.Account} all had as much");
                    break;
            }
        }

        // Nothing that nobody was told of, and nothing twice.
        Assert.Equal(
            histories.Values.Sum(history => history.Count - 2),
            _claims.OfType<Done>().DistinctBy(done => done.Command).Count());
        Assert.Equal(
            (0L, 0L),
            (await bank.ScalarAsync<long>("SELECT (SELECT position FROM journal.head) - count(*) FROM journal.events"),
            await bank.ScalarAsync<long>("SELECT count(*) - max(position) FROM journal.events")));
    }

    private IBankAccountGrain On(IGrainFactory grains, int account) => grains.GetGrain<IBankAccountGrain>(_accounts[account]);

    private async Task<long> LatestAsync(int account) =>
        await bank.ScalarAsync<long>($"SELECT max(version) FROM journal.events WHERE stream_id = 'account-{_accounts[account]}'");

    private void Acknowledge(int account, long version)
    {
        long before;
        while ((before = Volatile.Read(ref _acknowledged[account])) < version
            && Interlocked.CompareExchange(ref _acknowledged[account], version, before) != before) { }
    }
}
