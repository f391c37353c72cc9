using Bank.Testing;
using Npgsql;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Journal;

public sealed class AppendOnlyTests(PrivatePostgres postgres) : JournalTest(postgres)
{
    private static readonly string[] Tables = ["events", "batches", "head", "writers"];

    [Fact]
    public async Task The_role_that_runs_the_system_can_change_nothing_of_the_record()
    {
        await Open().AppendAsync(Make.First("account-1"));
        var attempts = Tables.SelectMany(table => (string[])
        [
            $"UPDATE journal.{table} SET {ColumnOf(table)} = {ColumnOf(table)}",
            $"DELETE FROM journal.{table}",
            $"TRUNCATE journal.{table}",
            $"INSERT INTO journal.{table} SELECT * FROM journal.{table}",
            $"ALTER TABLE journal.{table} DISABLE TRIGGER ALL",
            $"ALTER TABLE journal.{table} ADD COLUMN more text",
            $"ALTER TABLE journal.{table} OWNER TO bank_app",
            $"DROP TABLE journal.{table}",
            $"SELECT * FROM journal.{table} FOR UPDATE",
            $"CREATE TRIGGER mine BEFORE INSERT ON journal.{table} FOR EACH ROW EXECUTE FUNCTION journal.refuse_change('journal.append')",
            // What the triggers let through for a procedure that names itself is not what the grants let through.
            $"SET journal.procedure = 'journal.append'; UPDATE journal.{table} SET {ColumnOf(table)} = {ColumnOf(table)}",
            $"SET journal.procedure = 'journal.clear'; DELETE FROM journal.{table}",
        ]).Concat(
        [
            "INSERT INTO journal.clearable_stream_types VALUES ('account')",
            "CREATE TABLE journal.mine (n int)",
            "CREATE OR REPLACE FUNCTION journal.slot(stream_id text) RETURNS smallint LANGUAGE sql RETURN 0::smallint",
            "ALTER FUNCTION journal.append SECURITY INVOKER",
            "DROP FUNCTION journal.append",
            "SET session_replication_role = replica",
            "SET ROLE bank_owner",
        ]);

        var before = await RecordAsync();
        foreach (var attempt in attempts)
            Assert.Equal((attempt, PostgresErrorCodes.InsufficientPrivilege), (attempt, await RefusalAsync(App, attempt)));
        Assert.Equal(before, await RecordAsync());
        await Audit.VerifyAsync(App, Cancellation);
    }

    [Fact]
    public async Task Triggers_refuse_the_owner_and_superusers_too()
    {
        await Open().AppendAsync(Make.First("account-1"));
        var superuser = Connect(new NpgsqlConnectionStringBuilder(Postgres.Server.SuperuserConnectionString)
        {
            Database = Database.Name,
            Pooling = false,
        }.ConnectionString);
        string[] attempts =
        [
            .. Tables.Except(["writers"]).Select(table => $"UPDATE journal.{table} SET {ColumnOf(table)} = {ColumnOf(table)}"),
            .. Tables.Select(table => $"DELETE FROM journal.{table}"),
            .. Tables.Select(table => $"TRUNCATE journal.{table}"),
            "TRUNCATE journal.events, journal.batches, journal.head CASCADE",
            "SET journal.procedure = 'journal.append'; DELETE FROM journal.events",
            "SET journal.procedure = 'journal.clear'; UPDATE journal.events SET version = 2",
        ];

        var before = await RecordAsync();
        foreach (var attempt in attempts)
            foreach (var role in (NpgsqlDataSource[])[Owner, superuser])
                Assert.Equal((attempt, "JR001"), (attempt, await RefusalAsync(role, attempt)));
        Assert.Equal(before, await RecordAsync());
    }

    [Fact]
    public async Task Only_streams_of_a_type_that_the_owner_has_listed_can_be_cleared()
    {
        var journal = Open();
        var (kept, cleared) = (Make.First("account-1"), Make.First("draft-1"));
        await journal.AppendAsync(kept);
        await journal.AppendAsync(cleared);
        await Assert.ThrowsAsync<InvalidOperationException>(() => journal.ClearAsync("draft-1", Cancellation));
        await using (var list = Owner.CreateCommand("INSERT INTO journal.clearable_stream_types VALUES ('draft')"))
            await list.ExecuteNonQueryAsync(Cancellation);

        await Assert.ThrowsAsync<InvalidOperationException>(() => journal.ClearAsync("account-1", Cancellation));
        await journal.ClearAsync("draft-1", Cancellation);

        Assert.Equal("account-1", Assert.Single(await journal.ReadAllAsync(new(1), 10, Cancellation)).StreamId);
        // What an activation decided on the cleared stream does not land on the new one.
        Assert.Equal(new AppendOutcome.Conflict(0), await journal.AppendAsync(cleared.Next()));
        Assert.IsType<AppendOutcome.Appended>(await journal.AppendAsync(Make.First("draft-1")));
    }

    private static string ColumnOf(string table) => table switch
    {
        "events" => "version",
        "batches" => "format",
        "head" => "batch",
        _ => "attempt",
    };

    /// <summary>The SQLSTATE that a statement is refused with.</summary>
    private static async Task<string> RefusalAsync(NpgsqlDataSource role, string sql)
    {
        await using var connection = await role.OpenConnectionAsync(Cancellation);
        await using var transaction = await connection.BeginTransactionAsync(Cancellation);
        await using var command = new NpgsqlCommand(sql, connection, transaction);
        try
        {
            await command.ExecuteNonQueryAsync(Cancellation);
            return "not refused";
        }
        catch (PostgresException e)
        {
            return e.SqlState;
        }
    }
}
