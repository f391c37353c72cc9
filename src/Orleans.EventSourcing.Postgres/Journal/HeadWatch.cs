using Microsoft.Extensions.Logging;
using Npgsql;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// Frees the head from a client that froze while it held it. No time-out of the server ends such a transaction in time: it is neither idle
/// in the server's eyes nor is a statement running long.
/// </summary>
/// <param name="database">Another connection than the one that waits.</param>
/// <param name="log">Told of what is ended, and of what cannot be.</param>
internal sealed class HeadWatch(NpgsqlDataSource database, ILogger log)
{
    private int _looking;

    /// <summary>
    /// Follows those who block a waiting backend to the end of the chain, and terminates the one found there if it waits for its client.
    /// </summary>
    public async Task FreeHeadAsync(Backend waiting)
    {
        // One look at a time: where the database does not answer, they would pile up.
        if (Interlocked.Exchange(ref _looking, 1) == 1)
            return;
        try
        {
            foreach (var blocker in await FindAsync(waiting.ProcessId))
            {
                if (!blocker.MayBeTerminated)
                {
                    Log.HeadHeld(log, blocker.ProcessId, blocker.User, blocker.WaitsFor ?? "nothing that this role may see");
                    continue;
                }

                Log.HeadFreed(log, blocker.ProcessId, blocker.User);
                // Looked at once more: it may have gone on since, and wait for a standby by now.
                await using var terminate = database.CreateCommand(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Client'");
                terminate.Parameters.Add(new NpgsqlParameter<int> { TypedValue = blocker.ProcessId });
                await terminate.ExecuteNonQueryAsync().ConfigureAwait(false);
            }
        }
        catch (Exception e)
        {
            Log.HeadWatchFailed(log, e);
        }
        finally
        {
            Volatile.Write(ref _looking, 0);
        }
    }

    // pg_blocking_pids names those who wait in front as well as the one who holds, so its answers are followed to whoever waits for nobody.
    private async Task<List<Blocker>> FindAsync(int waiting)
    {
        await using var command = database.CreateCommand(
            """
            WITH RECURSIVE chain (pid) AS (
                SELECT unnest(pg_blocking_pids($1))
                UNION
                SELECT unnest(pg_blocking_pids(pid)) FROM chain)
            SELECT a.pid, coalesce(a.usename, ''), a.wait_event_type
            FROM chain JOIN pg_stat_activity a USING (pid) WHERE cardinality(pg_blocking_pids(a.pid)) = 0
            """);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = waiting });
        await using var reader = await command.ExecuteReaderAsync().ConfigureAwait(false);
        var blockers = new List<Blocker>();
        while (await reader.ReadAsync().ConfigureAwait(false))
            blockers.Add(new(reader.GetInt32(0), reader.GetString(1), reader.IsDBNull(2) ? null : reader.GetString(2)));
        return blockers;
    }
}

/// <summary>A backend that others wait for, and that waits for none of them.</summary>
/// <param name="ProcessId">Of the backend.</param>
/// <param name="User">The role that it runs as.</param>
/// <param name="WaitsFor">Postgres' <c>wait_event_type</c>; null where it runs, or where another role may not see it.</param>
internal sealed record Blocker(int ProcessId, string User, string? WaitsFor)
{
    /// <summary>
    /// Only one that waits for its client: that one has frozen. One that waits for a standby (<c>IPC</c>) has committed and must be left
    /// alone, and one that works will end by itself.
    /// </summary>
    public bool MayBeTerminated => WaitsFor == "Client";
}
