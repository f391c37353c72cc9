using System.Globalization;
using Bank.ReadModel.Accounts;
using Bank.ReadModel.DailyTotals;
using Bank.ReadModel.Transactions;
using Bank.ReadModel.Transfers;
using Bank.Testing;
using Npgsql;
using Xunit;

namespace Bank.ReadModel.Tests;

/// <summary>
/// Every query finds its rows by an index made for it, and reads no more of it than a page. Over the connections of the product, which scan
/// a table only where no index will do; on demand on many rows: BANK_PLAN_ROWS=1000000.
/// </summary>
public sealed class PlanTests(PrivatePostgres postgres) : ReadModelTest(postgres)
{
    [Fact]
    public async Task Every_query_uses_an_index()
    {
        await OpenAsync(Runtime());
        await ReadModelRows.FillAsync(App);
        await using var connection = ReadModels.Connect(Database.App);
        var account = await ScalarAsync<Guid>("SELECT account_id FROM readmodel.transactions LIMIT 1");
        string[] statuses = ["active", "closed"], states = ["running", "completed", "rejected", "failed"];

        await UsesAsync(AccountQuery.One, "accounts_1_pkey", account, 0, PartitionCount);
        await UsesAsync(AccountQuery.OfAll, "accounts_status_1", statuses, 100L, 101);
        await UsesAsync(AccountQuery.OfOwner, "accounts_owner_1", statuses, 100L, 101, "owner 7");
        await UsesAsync(
            TransactionQuery.OfAccount, "transactions_1_pkey", account, 0, DateTimeOffset.MaxValue, long.MaxValue, DateTimeOffset.MinValue,
            101, PartitionCount);
        await UsesAsync(TransferQuery.One, "transfers_1_pkey", account);
        await UsesAsync(TransferQuery.OfAll, "transfers_status_1", states, long.MaxValue, 101);
        await UsesAsync(TransferQuery.OfAccount, "transfers_from_1", states, long.MaxValue, 101, account);
        await UsesAsync(TransferQuery.OfAccount, "transfers_to_1", states, long.MaxValue, 101, account);
        await UsesAsync(DailyTotalsQuery.OfDays, "daily_totals_1_pkey", new DateOnly(2026, 1, 1), new DateOnly(2026, 1, 31), "USD");

        async Task UsesAsync(string sql, string index, params object[] parameters)
        {
            // As the product's own: prepared, with one plan for all parameters.
            await using var session = await connection.OpenConnectionAsync(Cancellation);
            var types = string.Join(", ", parameters.Select(TypeOf));
            await using (var prepare = new NpgsqlCommand($"PREPARE page ({types}) AS {sql}", session))
                await prepare.ExecuteNonQueryAsync(Cancellation);
            var values = string.Join(", ", parameters.Select(p => $"'{TextOf(p)}'"));
            await using var command = new NpgsqlCommand($"EXPLAIN (ANALYZE, COSTS off, TIMING off) EXECUTE page ({values})", session);
            var plan = new List<string>();
            await using (var reader = await command.ExecuteReaderAsync(Cancellation))
            {
                while (await reader.ReadAsync(Cancellation))
                    plan.Add(reader.GetString(0));
            }

            await using (var end = new NpgsqlCommand("DEALLOCATE page", session))
                await end.ExecuteNonQueryAsync(Cancellation);
            var text = string.Join('\n', plan);
            Assert.Matches($"Index (Only )?Scan (Backward )?using {index} on", text);
            Assert.DoesNotContain("Seq Scan", text, StringComparison.Ordinal);
            // What an index brings but the query does not want would be read for nothing.
            Assert.DoesNotContain("Rows Removed by Filter", text, StringComparison.Ordinal);
            var took = decimal.Parse(
                plan.Single(l => l.StartsWith("Execution Time", StringComparison.Ordinal)).Split(' ')[2], CultureInfo.InvariantCulture);
            TestContext.Current.TestOutputHelper!.WriteLine($"{index}: {took} ms");
        }
    }

    private static string TypeOf(object parameter) => parameter switch
    {
        string[] => "text[]",
        string => "text",
        int => "integer",
        long => "bigint",
        Guid => "uuid",
        DateOnly => "date",
        DateTimeOffset => "timestamptz",
        _ => throw new NotSupportedException($"{parameter}"),
    };

    private static string TextOf(object parameter) => parameter switch
    {
        string[] texts => $"{{{string.Join(',', texts)}}}",
        DateTimeOffset time => time == DateTimeOffset.MaxValue ? "infinity" : "-infinity",
        DateOnly date => date.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
        _ => Convert.ToString(parameter, CultureInfo.InvariantCulture)!,
    };
}
