using Bank.Host.Postgres;
using Bank.Testing;
using Npgsql;
using Xunit;

namespace Bank.Host.Tests.Postgres;

public sealed class LocalPostgresTests(UnshakenPostgres postgres) : IClassFixture<UnshakenPostgres>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task After_kill_minus_9_of_the_server_and_its_children_it_starts_again_on_the_same_port_with_the_same_data()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var owner = NpgsqlDataSource.Create(database.Owner);
        await ExecuteAsync(owner, "CREATE TABLE public.kept AS SELECT 1 AS n");
        var port = postgres.Server.Port;

        await postgres.Server.KillAsync(Cancellation);
        Assert.Null(postgres.Server.ProcessId);
        await postgres.Server.StartAsync(Cancellation, keepPort: true);

        Assert.Equal(port, postgres.Server.Port);
        await Eventually.UntilAsync("the pool has found the new server", async () => (await CountAsync(owner) == 1, null));
    }

    [Fact]
    public async Task A_pid_file_whose_number_is_another_process_by_now_does_not_keep_it_from_starting()
    {
        await postgres.Server.KillAsync(Cancellation);
        var pidFile = Path.Combine(Path.GetDirectoryName(postgres.Server.LogFile)!, "postmaster.pid");
        var lines = await File.ReadAllLinesAsync(pidFile, Cancellation);

        // PostgreSQL believes in any process of its own user; this one writes its number into the file and stays.
        using var leave = new CancellationTokenSource();
        var other = ServerUser.Current.RunAsync(
            "sh", ["-c", "{ echo $$; cat; } >\"$1\"; exec sleep 600", "sh", pidFile], leave.Token, string.Join('\n', lines[1..]) + "\n");
        await Eventually.UntilAsync(
            "the file names another process",
            async () => ((await File.ReadAllLinesAsync(pidFile)) is { Length: > 5 } now && now[0] != lines[0], null));

        Assert.Null(postgres.Server.ProcessId);
        await postgres.Server.StartAsync(Cancellation, keepPort: true);
        Assert.NotNull(postgres.Server.ProcessId);
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => other);
    }

    [Fact]
    public async Task It_keeps_the_durability_settings_of_the_server_listens_on_loopback_only_and_wants_a_password()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var app = NpgsqlDataSource.Create(database.App);
        Assert.Equal("on", await ShowAsync(app, "fsync"));
        Assert.Equal("on", await ShowAsync(app, "full_page_writes"));
        Assert.Equal("on", await ShowAsync(app, "synchronous_commit"));
        Assert.Equal("127.0.0.1", await ShowAsync(app, "listen_addresses"));
        Assert.Equal("off", await ShowAsync(app, "jit"));
        Assert.Equal("10000", await ShowAsync(app, "tcp_user_timeout"));

        var wrong = new NpgsqlConnectionStringBuilder(database.App) { Password = "guess", Pooling = false };
        await using var stranger = NpgsqlDataSource.Create(wrong);
        var refused = await Assert.ThrowsAsync<PostgresException>(() => stranger.OpenConnectionAsync(Cancellation).AsTask());
        Assert.Equal(PostgresErrorCodes.InvalidPassword, refused.SqlState);
    }

    private static async Task<string> ShowAsync(NpgsqlDataSource source, string setting)
    {
        await using var command = source.CreateCommand($"SHOW {setting}");
        return (string)(await command.ExecuteScalarAsync(Cancellation))!;
    }

    private static async Task<int> CountAsync(NpgsqlDataSource source)
    {
        await using var command = source.CreateCommand("SELECT count(*)::int FROM public.kept");
        return (int)(await command.ExecuteScalarAsync(Cancellation))!;
    }

    private static async Task ExecuteAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(Cancellation);
    }
}
