using Bank.Testing;
using Npgsql;
using Orleans.EventSourcing.Postgres.Schema;
using Xunit;

namespace Bank.Host.Tests.Commands;

/// <summary>
/// A record that is in order, made by SQL of its own: deposits, withdrawals, and transfers that overlap and end in each way, the last of
/// them cut off under way.
/// </summary>
public sealed class MadeRecord(PrivatePostgres postgres) : IAsyncLifetime
{
    private TestDatabase? original;
    private int copies;

    public TestDatabase Original => original ?? throw new InvalidOperationException("Not made yet.");

    public async ValueTask InitializeAsync() => original = await MakeAsync(acts: 500, accounts: 20);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>A copy in which the owner of the database may change whatever it likes.</summary>
    public async Task<TestDatabase> CopyAsync()
    {
        var name = $"made_{Interlocked.Increment(ref copies)}";
        await postgres.AsSuperuserAsync($"CREATE DATABASE {name} TEMPLATE {Original.Name} OWNER {Roles.Owner}");
        var copy = new TestDatabase(name, To(Original.Owner), To(Original.App));
        await ExecuteAsync(
            copy,
            """
            ALTER TABLE journal.events DISABLE TRIGGER USER, DROP CONSTRAINT events_position, DROP CONSTRAINT events_stream_version;
            ALTER TABLE journal.batches DISABLE TRIGGER USER, DROP CONSTRAINT batches_first_position;
            ALTER TABLE journal.head DISABLE TRIGGER USER;
            """);
        return copy;

        string To(string connectionString) => new NpgsqlConnectionStringBuilder(connectionString) { Database = name }.ConnectionString;
    }

    /// <summary>A record of about four events per act.</summary>
    public async Task<TestDatabase> MakeAsync(int acts, int accounts)
    {
        var database = await postgres.CreateDatabaseAsync();
        await ExecuteAsync(
            database,
            $$"""
            CREATE TEMP TABLE step ON COMMIT PRESERVE ROWS AS
            WITH act AS (
                -- Even accounts are kept in one currency, odd ones in another.
                SELECT n, md5('transfer' || n)::uuid AS transfer, n % 2 AS parity, 1 + n % 500 AS amount,
                       2 * (n * 7919 % ({{accounts}} / 2)) + n % 2 AS source,
                       2 * ((n * 7919 + 1 + n * 31 % ({{accounts}} / 2 - 1)) % ({{accounts}} / 2)) + n % 2 AS destination,
                       CASE n % 10 WHEN 0 THEN 'rejected' WHEN 1 THEN 'failed' WHEN 2 THEN 'deposit' WHEN 3 THEN 'withdrawal'
                           ELSE 'completed' END AS way
                FROM generate_series(1::bigint, {{acts}}) n
            ), way (way, nth, event_type, at, change) AS (
                VALUES ('deposit', 0, 'MoneyDeposited', 'source', 1),
                    ('withdrawal', 0, 'MoneyWithdrawn', 'source', -1),
                    ('completed', 0, 'TransferRequested', 'transfer', 0),
                    ('completed', 1, 'TransferSent', 'source', -1),
                    ('completed', 2, 'TransferReceived', 'destination', 1),
                    ('completed', 3, 'TransferCompleted', 'transfer', 0),
                    ('rejected', 0, 'TransferRequested', 'transfer', 0),
                    ('rejected', 1, 'TransferDeclined', 'source', 0),
                    ('rejected', 2, 'TransferRejected', 'transfer', 0),
                    ('failed', 0, 'TransferRequested', 'transfer', 0),
                    ('failed', 1, 'TransferSent', 'source', -1),
                    ('failed', 2, 'TransferDeclined', 'destination', 0),
                    ('failed', 3, 'ReturnDecided', 'transfer', 0),
                    ('failed', 4, 'TransferReturned', 'source', 1),
                    ('failed', 5, 'TransferFailed', 'transfer', 0)
            ), step (moment, stream_id, event_type, change, data) AS (
                SELECT 0, 'account-' || md5('account' || n)::uuid, 'AccountOpened', 100000,
                       jsonb_build_object('currency', CASE n % 2 WHEN 0 THEN 'USD' ELSE 'EUR' END, 'initial_deposit', '1000.00')
                FROM generate_series(0, {{accounts}} - 1) n
                UNION ALL
                SELECT a.n * 10 + w.nth * 21,
                       CASE w.at WHEN 'transfer' THEN 'transfer-' || a.transfer
                           ELSE 'account-' || md5('account' || CASE w.at WHEN 'source' THEN a.source ELSE a.destination END)::uuid END,
                       w.event_type,
                       w.change * a.amount,
                       CASE
                           WHEN w.event_type = 'TransferRequested' THEN jsonb_build_object(
                               'from_account_id', md5('account' || a.source)::uuid,
                               'to_account_id', md5('account' || a.destination)::uuid,
                               'amount', round(a.amount / 100.0, 2)::text,
                               'currency', CASE a.parity WHEN 0 THEN 'USD' ELSE 'EUR' END)
                           WHEN w.at = 'transfer' THEN '{}'
                           ELSE jsonb_strip_nulls(jsonb_build_object(
                               'transfer_id', CASE WHEN w.event_type LIKE 'Transfer%' THEN a.transfer END,
                               'counterparty_account_id', CASE WHEN w.event_type LIKE 'Transfer%' AND w.change <> 0 THEN
                                   md5('account' || CASE w.at WHEN 'source' THEN a.destination ELSE a.source END)::uuid END,
                               'amount', CASE WHEN w.change <> 0 THEN round(a.amount / 100.0, 2)::text END))
                       END
                FROM act a JOIN way w USING (way)
            )
            SELECT row_number() OVER moments AS position, s.stream_id, row_number() OVER stream AS version, s.event_type,
                   CASE WHEN s.change = 0 THEN s.data
                       ELSE s.data || jsonb_build_object('balance_after', round(sum(s.change) OVER stream / 100.0, 2)::text) END AS data
            FROM step s
            WHERE s.moment <= {{acts}}::bigint * 10
            WINDOW moments AS (ORDER BY s.moment, s.stream_id), stream AS (PARTITION BY s.stream_id ORDER BY s.moment);

            INSERT INTO journal.events (
                position, event_id, stream_id, version, event_type, schema_version, slot, data, metadata, recorded_at)
            SELECT s.position, gen_random_uuid(), s.stream_id, s.version, s.event_type, 1, journal.slot(s.stream_id), s.data,
                   '{"n": 1, "of": 1}', '2026-03-15T09:30:00Z'::timestamptz + s.position / 100 * interval '1 ms'
            FROM step s ORDER BY s.position;

            INSERT INTO journal.batches (batch, first_position, last_position, recorded_at, format, root, chain)
            SELECT (e.position - 1) / 100 + 1, min(e.position), max(e.position), max(e.recorded_at), 1, sha256(''), sha256('')
            FROM journal.events e GROUP BY 1;

            ALTER TABLE journal.head DISABLE TRIGGER USER;
            UPDATE journal.head SET position = (SELECT max(e.position) FROM journal.events e);
            ALTER TABLE journal.head ENABLE TRIGGER USER;
            ANALYZE journal.events;
            """);
        return database;
    }

    // Not pooled: a database that somebody is connected to cannot be copied.
    public static async Task<object?> ExecuteAsync(TestDatabase database, string sql)
    {
        await using var owner = NpgsqlDataSource.Create(
            new NpgsqlConnectionStringBuilder(database.Owner) { Pooling = false, CommandTimeout = 0 }.ConnectionString);
        await using var command = owner.CreateCommand(sql);
        return await command.ExecuteScalarAsync();
    }
}
