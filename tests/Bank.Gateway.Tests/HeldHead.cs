using Bank.Testing;
using Npgsql;

namespace Bank.Gateway.Tests;

/// <summary>Holds the lock that every append takes, so that what is in flight stays there until it is let go.</summary>
internal sealed class HeldHead : IAsyncDisposable
{
    private readonly NpgsqlDataSource source;
    private readonly NpgsqlConnection connection;

    private HeldHead(NpgsqlDataSource source, NpgsqlConnection connection) => (this.source, this.connection) = (source, connection);

    public static async Task<HeldHead> TakeAsync(string owner)
    {
        var source = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(owner) { Pooling = false });
        var connection = await source.OpenConnectionAsync();
        await using var command = new NpgsqlCommand("BEGIN; SELECT FROM journal.head FOR UPDATE", connection);
        await command.ExecuteNonQueryAsync();
        return new(source, connection);
    }

    /// <summary>Waits until a writer waits for the head.</summary>
    public async Task IsAwaitedAsync()
    {
        await using var command = new NpgsqlCommand(
            "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))", connection);
        await Eventually.UntilAsync(
            "a writer waits for the head",
            async () => (long)(await command.ExecuteScalarAsync())!,
            waiting => waiting > 0,
            TimeSpan.FromSeconds(60));
    }

    /// <summary>Lets go.</summary>
    public async ValueTask DisposeAsync()
    {
        await connection.DisposeAsync();
        await source.DisposeAsync();
    }
}
