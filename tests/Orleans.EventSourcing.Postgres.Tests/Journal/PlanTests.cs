using System.Diagnostics;
using Bank.Testing;
using Npgsql;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Journal;

public sealed class PlanTests(PrivatePostgres postgres) : JournalTest(postgres)
{
    private const int PerCall = 250;

    [Fact]
    public async Task In_one_connection_an_append_costs_the_same_however_many_events_there_are()
    {
        await using var connection = await App.OpenConnectionAsync(Cancellation);
        // Plans are made while the table is empty, and kept.
        var empty = await CostAsync(connection, "empty");
        long written = 0;
        foreach (var rows in new[] { 1_000, Scale.Of(10_000, full: 1_000_000) })
        {
            for (; written < rows; written += 1_000)
                await AppendAsync(connection, $"filling-{rows}", written, 1_000);
            await CostsNoMoreAsync("with the plans of an empty table");
            // As autovacuum does: the planner learns how large the table has become, and plans anew.
            await TamperAsync("ANALYZE journal.events");
            await CostsNoMoreAsync("with new plans");

            async Task CostsNoMoreAsync(string plans)
            {
                var full = await CostAsync(connection, $"{plans} at {rows}");
                TestContext.Current.TestOutputHelper?.WriteLine($"{rows} rows, {plans}: {full}; on the empty table {empty.Elapsed}");
                Assert.Equal((0L, 0L), (full.Scans, full.RowsScanned));
                // Each index descent ends in one row, and none of them reads what others have written.
                Assert.InRange(full.RowsFetched, 0, empty.RowsFetched + PerCall);
            }
        }
    }

    [Fact]
    public async Task The_role_does_not_compile_its_queries()
    {
        Assert.Equal("off", await ScalarAsync<string>("SHOW jit"));
    }

    // What the cheap path, the careful path and the questions of one transaction do to journal.events, as Postgres counts it.
    private static async Task<Cost> CostAsync(NpgsqlConnection connection, string prefix)
    {
        // Several times, until no plan is made anew.
        for (var i = 0; i < 8; i++)
            await AppendAsync(connection, $"{prefix}-warm", i, 1);
        await using var transaction = await connection.BeginTransactionAsync(Cancellation);
        // What earlier transactions did is in it until it has been reported, which has its own time.
        var before = await CountAsync(connection);
        var started = Stopwatch.GetTimestamp();
        await AppendAsync(connection, prefix, 0, PerCall);
        // The same again: each id is known, and each stream is troubled.
        await AppendAsync(connection, prefix, 0, PerCall);
        var elapsed = Stopwatch.GetElapsedTime(started);
        var after = await CountAsync(connection);
        await transaction.RollbackAsync(Cancellation);
        return new(after.Scans - before.Scans, after.RowsScanned - before.RowsScanned, after.RowsFetched - before.RowsFetched, elapsed);
    }

    private static async Task<(long Scans, long RowsScanned, long RowsFetched)> CountAsync(NpgsqlConnection connection)
    {
        await using var count = new NpgsqlCommand(
            "SELECT seq_scan, seq_tup_read, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'journal.events'::regclass",
            connection);
        await using var reader = await count.ExecuteReaderAsync(Cancellation);
        Assert.True(await reader.ReadAsync(Cancellation));
        return (reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2));
    }

    // One event each for so many streams, and a question for each.
    private static async Task AppendAsync(NpgsqlConnection connection, string prefix, long first, int count)
    {
        await using var command = new NpgsqlCommand(
            """
            SELECT count(*) FROM journal.append('test/plans', 1, $1, $1, $2, $3, $4, $5, $6, $7, $8::jsonb[], $8::jsonb[], $2, $5)
            """,
            connection);
        T[] Each<T>(Func<long, T> make) => [.. Enumerable.Range(0, count).Select(n => make(first + n))];
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = Each(_ => 1) });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = Each(n => $"{prefix}-{n}") });
        command.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = Each(_ => 1L) });
        command.Parameters.Add(new NpgsqlParameter<Guid?[]> { TypedValue = Each(_ => (Guid?)null) });
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = Each(n => IdOf($"{prefix}-{n}")) });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = Each(_ => "Opened") });
        command.Parameters.Add(new NpgsqlParameter<short[]> { TypedValue = Each(_ => (short)1) });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = Each(_ => "{}") });
        await command.PrepareAsync(Cancellation);
        await command.ExecuteScalarAsync(Cancellation);
    }

    private static Guid IdOf(string stream) =>
        new(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(stream)).AsSpan(0, 16));

    private sealed record Cost(long Scans, long RowsScanned, long RowsFetched, TimeSpan Elapsed);
}
