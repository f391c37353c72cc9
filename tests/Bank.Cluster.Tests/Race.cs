using Bank.Testing;
using Npgsql;

namespace Bank.Cluster.Tests;

/// <summary>A race that does not depend on luck: rivals gather behind a lock, and go on together when it is let go.</summary>
internal static class Race
{
    /// <summary>
    /// Starts the rivals while a transaction that has run <paramref name="hold"/> is open, and ends it when all wait for it.
    /// </summary>
    public static async Task<T[]> RunAsync<T>(string connectionString, string hold, IEnumerable<Func<Task<T>>> rivals)
    {
        await using var source = NpgsqlDataSource.Create(connectionString);
        await using var holder = await source.OpenConnectionAsync();
        await using var transaction = await holder.BeginTransactionAsync();
        await using (var lockIt = new NpgsqlCommand(hold, holder, transaction))
        {
            await lockIt.ExecuteNonQueryAsync();
        }

        var running = rivals.Select(rival => rival()).ToList();
        await using var waiting = source.CreateCommand(
            "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'");
        await Eventually.UntilAsync(
            $"{running.Count} rivals wait", async () => (int)(await waiting.ExecuteScalarAsync())!, seen => seen == running.Count);
        await transaction.RollbackAsync();
        return await Task.WhenAll(running);
    }
}
