using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace Bank.Testing;

/// <summary>
/// Rows as projections would write them, straight into the first generation of the tables: few in the suite, and on demand many, such as
/// <c>BANK_PLAN_ROWS=1000000</c>.
/// </summary>
public static class ReadModelRows
{
    /// <summary>Movements, and transfers; accounts are a tenth of it.</summary>
    public static int Count { get; } =
        int.Parse(Environment.GetEnvironmentVariable("BANK_PLAN_ROWS") ?? "2000", CultureInfo.InvariantCulture);

    /// <summary>How many accounts the movements are of.</summary>
    public static int Accounts => Count / 100 + 1;

    /// <summary>One of them, from 0. It has an opening and about a hundred movements in all.</summary>
    public static Guid Account(int number) => Hashed(number);

    /// <summary>Writes them.</summary>
    /// <param name="app">As <c>bank_app</c>.</param>
    public static async Task FillAsync(NpgsqlDataSource app)
    {
        await using var fill = app.CreateCommand(
            $"""
            INSERT INTO readmodel.accounts_1
            SELECT gen_random_uuid(), 'owner ' || n % 1000, 'USD', n, CASE WHEN n % 50 = 0 THEN 'closed' ELSE 'active' END, 1, n, now(),
                   now()
            FROM generate_series(1, {Count / 10}) n;
            INSERT INTO readmodel.transactions_1
            SELECT md5((n % {Accounts})::text)::uuid, now() + n * interval '1 ms', n, n, gen_random_uuid(), 'deposit', 1, 1,
                   CASE WHEN n <= {Accounts} THEN 'USD' END, NULL, NULL, 'a description of a usual length'
            FROM generate_series(1, {Count}) n;
            INSERT INTO readmodel.transfers_1 (transfer_id, from_account_id, to_account_id, amount, currency, description, requested_id,
                requested_position, requested_at, outcome, outcome_id, outcome_position, outcome_at)
            SELECT gen_random_uuid(), md5((n % 99)::text)::uuid, md5((n % 88 + 1)::text)::uuid, 1, 'USD', '', gen_random_uuid(), n, now(),
                   o.outcome, o.id, o.position, o.at
            FROM generate_series(1, {Count}) n
            LEFT JOIN LATERAL (SELECT 'TransferCompleted', gen_random_uuid(), n, now()) o (outcome, id, position, at) ON n % 100 > 0;
            INSERT INTO readmodel.daily_totals_1
            SELECT date '2020-01-01' + n / 8, 'USD', n % 8, 1, 1, 1, 1, 1, 1 FROM generate_series(0, {Math.Min(Count, 30_000)}) n;
            """);
        fill.CommandTimeout = 600;
        await fill.ExecuteNonQueryAsync();
        // As autovacuum leaves them in the end, which else does it while they are read.
        await using var settle = app.CreateCommand(
            "VACUUM (ANALYZE) readmodel.accounts_1, readmodel.transactions_1, readmodel.transfers_1, readmodel.daily_totals_1");
        settle.CommandTimeout = 600;
        await settle.ExecuteNonQueryAsync();
    }

    // As md5(text)::uuid; an id, and no secret.
#pragma warning disable CA5351
    private static Guid Hashed(int number) =>
        new(MD5.HashData(Encoding.UTF8.GetBytes(number.ToString(CultureInfo.InvariantCulture))), bigEndian: true);
#pragma warning restore CA5351
}
