using Bank.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Orleans.EventSourcing.Postgres.Schema;
using Xunit;

namespace Bank.Host.Tests.Schema;

public sealed class MigratorTests(PrivatePostgres postgres)
{
    private static readonly SqlScript Table = new("0001_table.sql", "CREATE TABLE shop.things (n int);");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Numbered_scripts_run_once_in_order_and_functions_again_whenever_their_text_has_changed()
    {
        await using var owner = await EmptyAsync();
        var one = new SqlScript("functions/one.sql", "CREATE OR REPLACE FUNCTION shop.one() RETURNS int RETURN 1;");
        var more = new SqlScript("0002_more.sql", "INSERT INTO shop.things VALUES (1);");

        Assert.Equal(["shop/0001_table.sql", "shop/functions/one.sql"], await MigrateAsync(owner, [Table], [one]));
        Assert.Empty(await MigrateAsync(owner, [Table], [one]));

        var two = one with { Text = "CREATE OR REPLACE FUNCTION shop.one() RETURNS int RETURN 2;" };
        Assert.Equal(["shop/0002_more.sql", "shop/functions/one.sql"], await PendingAsync(owner, [Table, more], [two]));
        Assert.Equal(["shop/0002_more.sql", "shop/functions/one.sql"], await MigrateAsync(owner, [Table, more], [two]));
        Assert.Equal(2, await ScalarAsync<int>(owner, "SELECT shop.one()"));
        Assert.Equal(1, await ScalarAsync<long>(owner, "SELECT count(*) FROM shop.things"));
    }

    [Fact]
    public async Task A_script_that_fails_is_undone_and_named_and_what_ran_before_it_stays()
    {
        await using var owner = await EmptyAsync();
        var broken = new SqlScript("0002_broken.sql", "CREATE TABLE shop.half (n int);\nSELECT nonsense;");

        var refused = await Assert.ThrowsAsync<MigrationException>(() => MigrateAsync(owner, [Table, broken], []));

        Assert.Contains("shop/0002_broken.sql", refused.Message, StringComparison.Ordinal);
        Assert.Contains("nonsense", refused.Message, StringComparison.Ordinal);
        Assert.Equal(["shop/0002_broken.sql"], await PendingAsync(owner, [Table, broken], []));
        Assert.True(await ScalarAsync<bool>(owner, "SELECT to_regclass('shop.half') IS NULL"));
    }

    [Fact]
    public async Task A_numbered_script_that_was_changed_after_it_had_run_is_refused()
    {
        await using var owner = await EmptyAsync();
        await MigrateAsync(owner, [Table], []);
        var changed = Table with { Text = "CREATE TABLE shop.things (n bigint);" };
        var refused = await Assert.ThrowsAsync<MigrationException>(() => MigrateAsync(owner, [changed], []));
        Assert.Contains("shop/0001_table.sql was changed", refused.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<MigrationException>(() => PendingAsync(owner, [changed], []));
    }

    [Fact]
    public async Task A_database_newer_than_the_build_is_refused()
    {
        await using var owner = await EmptyAsync();
        await MigrateAsync(owner, [Table, new("0002_later.sql", "SELECT 1;")], []);
        var refused = await Assert.ThrowsAsync<MigrationException>(() => MigrateAsync(owner, [Table], []));
        Assert.Contains("newer than this build: it has shop/0002_later.sql", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Processes_that_migrate_at_once_run_each_script_once()
    {
        await using var owner = await EmptyAsync();
        var slow = new SqlScript("0002_slow.sql", "SELECT pg_sleep(0.2); INSERT INTO shop.things VALUES (1);");
        var runs = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => MigrateAsync(owner, [Table, slow], [])));
        Assert.Equal(2, runs.Sum(run => run.Count));
        Assert.Equal(1, await ScalarAsync<long>(owner, "SELECT count(*) FROM shop.things"));
    }

    [Fact]
    public async Task Whoever_migrates_bank_owner_owns_and_bank_app_may_look_at_the_record_only()
    {
        var database = await postgres.CreateEmptyDatabaseAsync();
        var superuser = new NpgsqlConnectionStringBuilder(postgres.Server.SuperuserConnectionString) { Database = database.Name };
        await using var source = NpgsqlDataSource.Create(superuser);
        await MigrateAsync(source, [Table], []);
        Assert.Equal("bank_owner", await ScalarAsync<string>(source, "SELECT tableowner::text FROM pg_tables WHERE tablename = 'things'"));

        await using var app = NpgsqlDataSource.Create(database.App);
        Assert.Empty(await PendingAsync(app, [Table], []));
        var refused = await Assert.ThrowsAsync<PostgresException>(
            () => ScalarAsync<object>(app, "DELETE FROM journal.migrations"));
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
        await Assert.ThrowsAsync<MigrationException>(() => MigrateAsync(app, [Table, new("0002_x.sql", "SELECT 1;")], []));
    }

    private static Task<IReadOnlyList<string>> MigrateAsync(
        NpgsqlDataSource source, IReadOnlyList<SqlScript> numbered, IReadOnlyList<SqlScript> functions) =>
        new Migrator(source, [new("shop", numbered, functions)], NullLogger.Instance).MigrateAsync(null, Cancellation);

    private static Task<IReadOnlyList<string>> PendingAsync(
        NpgsqlDataSource source, IReadOnlyList<SqlScript> numbered, IReadOnlyList<SqlScript> functions) =>
        new Migrator(source, [new("shop", numbered, functions)], NullLogger.Instance).PendingAsync(Cancellation);

    private static async Task<T> ScalarAsync<T>(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        return await command.ExecuteScalarAsync(Cancellation) is T value ? value : default!;
    }

    private async Task<NpgsqlDataSource> EmptyAsync() =>
        NpgsqlDataSource.Create((await postgres.CreateEmptyDatabaseAsync()).Owner);
}
