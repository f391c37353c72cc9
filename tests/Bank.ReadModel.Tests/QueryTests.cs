using Bank.Domain;
using Bank.ReadModel.Accounts;
using Bank.ReadModel.DailyTotals;
using Bank.ReadModel.Transactions;
using Bank.ReadModel.Transfers;
using Bank.Testing;
using Orleans.EventSourcing.Postgres;
using Xunit;

namespace Bank.ReadModel.Tests;

public sealed class QueryTests(PrivatePostgres postgres) : ReadModelTest(postgres)
{
    [Fact]
    public async Task Every_list_pages_through_all_its_rows_once_in_order()
    {
        var (readModels, partitions, writer) = await BankAsync(acts: 600);
        var (accounts, transactions, transfers) =
            (new AccountQuery(readModels), new TransactionQuery(readModels), new TransferQuery(readModels));
        await CaughtUpAsync(partitions);

        var everybody = await AllAsync(c => accounts.ListAsync(null, null, 3, c, default, Cancellation));
        Assert.Equal(writer.Accounts, everybody.Select(a => a.Id));
        var adas = await AllAsync(c => accounts.ListAsync("Ada", "active", 2, c, default, Cancellation));
        Assert.Equal(everybody.Where(a => a is { OwnerName: "Ada", Status: "active" }), adas);
        var closed = await AllAsync(c => accounts.ListAsync(null, "closed", 1, c, default, Cancellation));
        Assert.Equal(everybody.Where(a => a.Status == "closed"), closed);
        Assert.NotEmpty(closed);

        foreach (var account in everybody)
        {
            var movements = await AllAsync(async c =>
                (await transactions.ListAsync(account.Id, null, null, 4, c, default, Cancellation)).Value!);
            Assert.Equal(movements.OrderByDescending(m => m.Position), movements);
            Assert.Equal("opening", movements[^1].Type);
            Assert.Equal(account.Balance, movements[0].BalanceAfter);
            // What each movement says of itself: the balance before, and its amount.
            Assert.All(movements.Zip(movements.Skip(1)), m => Assert.Equal(m.Second.BalanceAfter + m.First.Amount, m.First.BalanceAfter));
            var (from, to) = (movements[^1].RecordedAt, movements[movements.Count / 2].RecordedAt);
            var some = await transactions.ListAsync(account.Id, from, to, 1000, null, default, Cancellation);
            Assert.Equal(movements.Where(m => m.RecordedAt >= from && m.RecordedAt <= to), some.Value!.Items);

            var own = await AllAsync(c => transfers.ListAsync(account.Id, null, 3, c, default, Cancellation));
            Assert.All(own, t => Assert.Contains(account.Id, new[] { t.From, t.To }));
        }

        var all = await AllAsync(c => transfers.ListAsync(null, null, 7, c, default, Cancellation));
        Assert.Equal(writer.Transfers.AsEnumerable().Reverse(), all.Select(t => t.Id));
        Assert.Equal(
            all.Where(t => t.Status == "completed").Select(t => t.Id),
            (await AllAsync(c => transfers.ListAsync(null, "completed", 5, c, default, Cancellation))).Select(t => t.Id));
        Assert.Equal(["completed", "failed", "rejected", "running"], all.Select(t => t.Status).Distinct().Order());
        foreach (var transfer in all)
        {
            var found = (await transfers.FindAsync(transfer.Id, default, Cancellation)).Value!;
            Assert.Equal(transfer.Steps, found.Steps);
            Assert.Equal(found.Steps.OrderBy(s => s.Position), found.Steps);
            Assert.Equal(found.Phase == "ended", found.Steps[^1].Step is "TransferCompleted" or "TransferRejected" or "TransferFailed");
        }
    }

    [Fact]
    public async Task A_page_is_not_disturbed_by_rows_that_come_while_it_is_read()
    {
        var (readModels, partitions, writer) = await BankAsync(acts: 0);
        var account = await writer.OpenAsync("Ada", "USD", 100);
        for (var n = 1; n <= 6; n++)
            await writer.DepositAsync(account, n);
        var transactions = new TransactionQuery(readModels);
        var first = await transactions.ListAsync(account, null, null, 3, null, writer.Last, Cancellation);
        await writer.DepositAsync(account, 1_000);
        var second = await transactions.ListAsync(account, null, null, 3, first.Value!.NextCursor, writer.Last, Cancellation);
        var third = await transactions.ListAsync(account, null, null, 3, second.Value!.NextCursor, writer.Last, Cancellation);

        var amounts = new[] { first, second, third }.SelectMany(p => p.Value!.Items).Select(t => t.Amount.MinorUnits);
        Assert.Equal([6L, 5, 4, 3, 2, 1, 100], amounts);
        Assert.Null(third.Value!.NextCursor);
        Assert.NotEmpty(partitions.All);
    }

    [Fact]
    public async Task A_cursor_that_was_changed_or_belongs_to_another_list_is_refused()
    {
        var (readModels, _, writer) = await BankAsync(acts: 0);
        for (var n = 0; n < 4; n++)
            await writer.OpenAsync("Ada", "USD", 5);
        var accounts = new AccountQuery(readModels);
        var cursor = (await accounts.ListAsync("Ada", null, 2, null, writer.Last, Cancellation)).NextCursor!;
        Assert.Equal(2, (await accounts.ListAsync("Ada", null, 5, cursor, default, Cancellation)).Items.Count);

        for (var at = 0; at < cursor.Length; at++)
        {
            foreach (var other in "AZaz09-_=+ é")
            {
                var changed = cursor[..at] + other + cursor[(at + 1)..];
                if (changed != cursor)
                    await RefusedAsync(() => accounts.ListAsync("Ada", null, 2, changed, default, Cancellation));
            }
        }

        await RefusedAsync(() => accounts.ListAsync("Ada", null, 2, "", default, Cancellation));
        await RefusedAsync(() => accounts.ListAsync("Ada", null, 2, cursor + "A", default, Cancellation));
        await RefusedAsync(() => accounts.ListAsync("Ad", null, 2, cursor, default, Cancellation));
        await RefusedAsync(() => accounts.ListAsync("Ada", "active", 2, cursor, default, Cancellation));
        await RefusedAsync(() => accounts.ListAsync(null, "Ada", 2, cursor, default, Cancellation));
        await RefusedAsync(() => new TransferQuery(readModels).ListAsync(null, null, 2, cursor, default, Cancellation));
        var transactions = new TransactionQuery(readModels);
        await RefusedAsync(() => transactions.ListAsync(writer.Accounts[0], null, null, 2, cursor, default, Cancellation));

        static Task RefusedAsync(Func<Task> query) => Assert.ThrowsAsync<InvalidCursorException>(query);
    }

    [Fact]
    public async Task A_read_covers_the_position_it_asks_for_or_says_that_it_cannot()
    {
        // Nothing is delivered: who asks for a position makes it be read.
        var (readModels, partitions, writer) = await BankAsync(acts: 0);
        var (accounts, transactions) = (new AccountQuery(readModels), new TransactionQuery(readModels));
        var account = await writer.OpenAsync("Ada", "USD", 5);
        for (var n = 1; n < 50; n++)
        {
            await writer.DepositAsync(account, 1);
            var read = await accounts.FindAsync(account, writer.Last, Cancellation);
            Assert.Equal(5 + n, read.Value!.Balance.MinorUnits);
            Assert.InRange(read.AsOf.Value, writer.Last.Value, long.MaxValue);
            var listed = await accounts.ListAsync("Ada", null, 10, null, writer.Last, Cancellation);
            Assert.Equal(5 + n, listed.Items.Single().Balance.MinorUnits);
            var moved = await transactions.ListAsync(account, null, null, 1, null, writer.Last, Cancellation);
            Assert.Equal(writer.Last, moved.Value!.Items.Single().Position);
        }

        var beyond = new Position(writer.Last.Value + 1_000_000);
        await Assert.ThrowsAsync<ReadModelBehindException>(() => accounts.FindAsync(account, beyond, Cancellation));
        Assert.Equal(PartitionState.Running, partitions.All[0].Serving!.State);
        Assert.Null((await accounts.FindAsync(new(Guid.NewGuid()), writer.Last, Cancellation)).Value);
        Assert.Null((await transactions.ListAsync(new(Guid.NewGuid()), null, null, 5, null, default, Cancellation)).Value);
        Assert.Null((await new TransferQuery(readModels).FindAsync(new(Guid.NewGuid()), writer.Last, Cancellation)).Value);
    }

    [Fact]
    public async Task Daily_totals_add_up_all_partitions_by_day_and_currency()
    {
        var (readModels, _, writer) = await BankAsync(acts: 0);
        var dollars = new List<AccountId>();
        for (var n = 0; n < 10; n++)
            dollars.Add(await writer.OpenAsync("Ada", "USD", 100));
        var yen = await writer.OpenAsync("Ada", "JPY", 7);
        await writer.DepositAsync(yen, 3);
        var totals = new DailyTotalsQuery(readModels);
        var all = await totals.ListAsync(null, null, null, writer.Last, Cancellation);

        Assert.Equal(["JPY", "USD"], all.Items.Select(t => t.Currency.Code));
        Assert.Equal(new(2, 10m), all.Items[0].Deposits);
        Assert.Equal(new(10, 10.00m), all.Items[1].Deposits);
        Assert.Equal("10.00", all.Items[1].Deposits.Amount.ToString(System.Globalization.CultureInfo.InvariantCulture));
        Assert.Equal(new(0, 0m), all.Items[1].Withdrawals);
        var day = all.Items[0].Date;
        Assert.Single((await totals.ListAsync(day, day, Currency.Parse("JPY"), default, Cancellation)).Items);
        Assert.Empty((await totals.ListAsync(day.AddDays(1), null, null, default, Cancellation)).Items);
        Assert.Empty((await totals.ListAsync(null, day.AddDays(-1), null, default, Cancellation)).Items);
        Assert.Equal(10, dollars.Count);
    }

    private async Task<(ReadModels ReadModels, Partitions Partitions, BankWriter Writer)> BankAsync(int acts)
    {
        var partitions = await OpenAsync(Runtime());
        var writer = Writer(seed: 42, accounts: 12);
        for (var n = 0; n < acts; n++)
            await writer.ActAsync();
        return (Queries(partitions), partitions, writer);
    }

    private static async Task<List<T>> AllAsync<T>(Func<string?, Task<Page<T>>> page)
    {
        var all = new List<T>();
        string? cursor = null;
        do
        {
            var next = await page(cursor);
            all.AddRange(next.Items);
            cursor = next.NextCursor;
        }
        while (cursor is not null);
        return all;
    }
}
