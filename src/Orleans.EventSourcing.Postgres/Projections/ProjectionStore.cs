using System.Data;
using Npgsql;
using Orleans.EventSourcing.Postgres.Schema;

namespace Orleans.EventSourcing.Postgres;

/// <summary>A generation as a partition finds it.</summary>
/// <param name="Number">Of the fill.</param>
/// <param name="FoldVersion">Of the code that fills it.</param>
/// <param name="Partitions">How many fill it.</param>
/// <param name="Serving">Whether queries read it; else it is being filled.</param>
internal sealed record Generation(int Number, int FoldVersion, int Partitions, bool Serving);

/// <summary>Where a partition of a generation stands.</summary>
/// <param name="Position">The last position that is handled durably.</param>
/// <param name="Head">Of the journal.</param>
/// <param name="Paused">The projection is not to go on.</param>
/// <param name="Replaced">Another event lies at the position than the one that was handled there.</param>
/// <param name="Parked">Where the partition has parked, if it has; at its own position: because of the journal, not of an event.</param>
/// <param name="Reason">Why it has parked.</param>
/// <param name="Next">When the first event beyond the position was recorded; null where there is none.</param>
internal sealed record Checkpoint(
    Position Position, Position Head, bool Paused, bool Replaced, Position? Parked, string? Reason, DateTimeOffset? Next)
{
    /// <summary>What was handled is not what the journal holds.</summary>
    public bool IsOfAnotherJournal => Position > Head || Replaced;
}

/// <summary>What an attempt to let the new tables serve came to.</summary>
internal enum SwapResult
{
    NothingToSwap,
    NotYet,
    Swapped,
}

/// <summary>The rows and tables of the schema <c>readmodel</c>.</summary>
internal sealed class ProjectionStore(NpgsqlDataSource database, TimeProvider time)
{
    /// <summary>SQLSTATE of <c>readmodel.advance</c>: the partition does not stand there, or stands still.</summary>
    public const string Fenced = "RC001";

    // While the serving checkpoints are held for a swap their readers see nothing new, and while a reader holds the old tables nobody else
    // can begin to read: both are short, and the next round tries again.
    private static readonly TimeSpan SwapPatience = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan SwapPoll = TimeSpan.FromMilliseconds(10);
    private const int SwapNear = 5_000;

    /// <summary>
    /// Makes the first tables of a projection, which serve at once, or begins a rebuild where the fold version or the number of partitions
    /// has changed. Does nothing where newer code has been here.
    /// </summary>
    /// <returns>The generation that serves, and the number of the one that a rebuild began for; null where none began.</returns>
    public async Task<(Generation Serving, int Begun)?> EnsureAsync(Projection projection, int partitions, CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation).ConfigureAwait(false);
        await using var transaction = await connection.BeginTransactionAsync(cancellation).ConfigureAwait(false);
        await LockAsync(connection, projection.Name, cancellation).ConfigureAwait(false);
        var generations = await GenerationsAsync(connection, projection.Name, cancellation).ConfigureAwait(false);
        var serving = generations.Find(g => g.Serving);
        var newest = generations.OrderBy(g => g.FoldVersion).ThenBy(g => g.Number).LastOrDefault();
        if (newest is not null && newest.FoldVersion >= projection.FoldVersion && newest.Partitions == partitions)
            return null;
        if (newest?.FoldVersion > projection.FoldVersion)
            return null;
        if (generations.Find(g => !g.Serving) is { } abandoned)
            await DropAsync(connection, projection.Name, abandoned.Number, cancellation).ConfigureAwait(false);
        var number = await AddAsync(connection, projection, partitions, serving is null, cancellation).ConfigureAwait(false);
        await transaction.CommitAsync(cancellation).ConfigureAwait(false);
        return serving is null ? null : (serving, number);
    }

    /// <summary>Begins to fill new tables; one fill that was under way is given up.</summary>
    /// <returns>The number of the new generation.</returns>
    public async Task<int> RebuildAsync(Projection projection, int partitions, CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation).ConfigureAwait(false);
        await using var transaction = await connection.BeginTransactionAsync(cancellation).ConfigureAwait(false);
        await LockAsync(connection, projection.Name, cancellation).ConfigureAwait(false);
        var generations = await GenerationsAsync(connection, projection.Name, cancellation).ConfigureAwait(false);
        if (generations.Find(g => !g.Serving) is { } abandoned)
            await DropAsync(connection, projection.Name, abandoned.Number, cancellation).ConfigureAwait(false);
        var number = await AddAsync(connection, projection, partitions, generations.Count == 0, cancellation).ConfigureAwait(false);
        await transaction.CommitAsync(cancellation).ConfigureAwait(false);
        return number;
    }

    /// <summary>Whether tables that are there have been begun since then.</summary>
    public async Task<bool> HasBegunSinceAsync(string projection, DateTimeOffset since, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            "SELECT EXISTS (SELECT FROM readmodel.generations WHERE projection = $1 AND started_at >= $2)");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = projection });
        command.Parameters.Add(new NpgsqlParameter<DateTimeOffset> { TypedValue = since });
        return (bool)(await command.ExecuteScalarAsync(cancellation).ConfigureAwait(false))!;
    }

    /// <summary>The generations that there are: the serving one, and the one that is being filled.</summary>
    public async Task<IReadOnlyList<Generation>> GenerationsAsync(string projection, CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation).ConfigureAwait(false);
        return await GenerationsAsync(connection, projection, cancellation).ConfigureAwait(false);
    }

    /// <summary>Where a partition stands; null where its generation is gone.</summary>
    public async Task<Checkpoint?> LoadAsync(string projection, int generation, Partition partition, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            SELECT c.position, h.position, p.paused, coalesce(c.event_id <> e.event_id, false), c.parked_position, c.parked_reason,
                   (SELECT n.recorded_at FROM journal.events n WHERE n.position > c.position ORDER BY n.position LIMIT 1)
            FROM readmodel.checkpoints c
            JOIN readmodel.projections p ON p.name = c.projection
            CROSS JOIN journal.head h
            LEFT JOIN journal.events e ON e.position = c.position
            WHERE c.projection = $1 AND c.generation = $2 AND c.partition = $3
            """);
        Key(command.Parameters, projection, generation, partition);
        await using var reader = await command.ExecuteReaderAsync(cancellation).ConfigureAwait(false);
        return await reader.ReadAsync(cancellation).ConfigureAwait(false)
            ? new(
                new(reader.GetInt64(0)),
                new(reader.GetInt64(1)),
                reader.GetBoolean(2),
                reader.GetBoolean(3),
                reader.IsDBNull(4) ? null : new Position(reader.GetInt64(4)),
                reader.IsDBNull(5) ? null : reader.GetString(5),
                reader.IsDBNull(6) ? null : reader.GetFieldValue<DateTimeOffset>(6))
            : null;
    }

    /// <summary>The statement that moves a checkpoint, first of its transaction: see <c>functions/advance.sql</c>.</summary>
    public static NpgsqlBatchCommand Advance(string projection, int generation, Partition partition, Position from, Position to)
    {
        var command = new NpgsqlBatchCommand("SELECT readmodel.advance($1, $2, $3, $4, $5)");
        Key(command.Parameters, projection, generation, partition);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = from.Value });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = to.Value });
        return command;
    }

    /// <summary>Lets a partition stand still, as every later activation will find it.</summary>
    /// <returns>False where it does not stand there any more, or had parked before.</returns>
    public async Task<bool> ParkAsync(
        string projection, int generation, Partition partition, Position standing, Position at, string reason,
        CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            UPDATE readmodel.checkpoints SET parked_position = $5, parked_reason = $6, parked_at = clock_timestamp()
            WHERE projection = $1 AND generation = $2 AND partition = $3 AND position = $4 AND parked_position IS NULL
            """);
        Key(command.Parameters, projection, generation, partition);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = standing.Value });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = at.Value });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = reason });
        return await command.ExecuteNonQueryAsync(cancellation).ConfigureAwait(false) == 1;
    }

    /// <summary>Where a partition has parked, by generation.</summary>
    public async Task<IReadOnlyList<Position>> ParkedAsync(string projection, int partition, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            SELECT parked_position FROM readmodel.checkpoints
            WHERE projection = $1 AND partition = $2 AND parked_position IS NOT NULL ORDER BY 1
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = projection });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = partition });
        var parked = new List<Position>();
        await using var reader = await command.ExecuteReaderAsync(cancellation).ConfigureAwait(false);
        while (await reader.ReadAsync(cancellation).ConfigureAwait(false))
            parked.Add(new(reader.GetInt64(0)));
        return parked;
    }

    /// <summary>Lets a parked partition try again, in each generation in which it has parked.</summary>
    /// <returns>Whether it had parked.</returns>
    public async Task<bool> RetryAsync(string projection, int partition, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            UPDATE readmodel.checkpoints SET parked_position = NULL, parked_reason = NULL, parked_at = NULL
            WHERE projection = $1 AND partition = $2 AND parked_position IS NOT NULL
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = projection });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = partition });
        return await command.ExecuteNonQueryAsync(cancellation).ConfigureAwait(false) > 0;
    }

    /// <summary>Whether a partition has parked at the event of a position.</summary>
    public async Task<bool> CanSkipAsync(string projection, int partition, Position position, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            SELECT EXISTS (SELECT FROM readmodel.checkpoints c
                WHERE c.projection = $1 AND c.partition = $2 AND c.parked_position = $3 AND c.position < $3)
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = projection });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = partition });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = position.Value });
        return (bool)(await command.ExecuteScalarAsync(cancellation).ConfigureAwait(false))!;
    }

    /// <summary>Steps over exactly the event at which a partition has parked.</summary>
    /// <returns>Whether it had parked there.</returns>
    public async Task<bool> SkipAsync(string projection, int partition, Position position, CancellationToken cancellation)
    {
        // Where it has parked at its own position there is no event to step over.
        await using var command = database.CreateCommand(
            """
            UPDATE readmodel.checkpoints c
            SET position = $3, event_id = (SELECT e.event_id FROM journal.events e WHERE e.position = $3),
                parked_position = NULL, parked_reason = NULL, parked_at = NULL
            WHERE c.projection = $1 AND c.partition = $2 AND c.parked_position = $3 AND c.position < $3
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = projection });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = partition });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = position.Value });
        return await command.ExecuteNonQueryAsync(cancellation).ConfigureAwait(false) > 0;
    }

    /// <summary>Pauses or resumes all partitions, whoever runs them.</summary>
    public async Task SetPausedAsync(string projection, bool paused, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("UPDATE readmodel.projections SET paused = $2 WHERE name = $1");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = projection });
        command.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = paused });
        await command.ExecuteNonQueryAsync(cancellation).ConfigureAwait(false);
    }

    /// <summary>
    /// Lets the new tables serve once they hold at least what the old ones hold, in one transaction, so that no reader ever sees less than
    /// before, nor an error.
    /// </summary>
    public async Task<SwapResult> TrySwapAsync(string projection, CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation).ConfigureAwait(false);
        var generations = await GenerationsAsync(connection, projection, cancellation).ConfigureAwait(false);
        if (generations.Find(g => !g.Serving) is null)
            return SwapResult.NothingToSwap;
        if (!await HoldsAtLeastAsync(connection, projection, SwapNear, cancellation).ConfigureAwait(false))
            return SwapResult.NotYet;

        await using var transaction = await connection.BeginTransactionAsync(cancellation).ConfigureAwait(false);
        await ExecuteAsync(connection, "SET LOCAL lock_timeout = '2s'", cancellation).ConfigureAwait(false);
        try
        {
            await LockAsync(connection, projection, cancellation).ConfigureAwait(false);
            // The serving partitions wait here now, before they have touched a table: their transactions begin with their checkpoint. The
            // others go on, and each statement below sees how far they have come.
            await ExecuteAsync(
                connection,
                """
                SELECT FROM readmodel.generations g JOIN readmodel.checkpoints c USING (projection, generation)
                WHERE projection = $1 AND g.serving ORDER BY c.partition FOR UPDATE OF c
                """,
                cancellation,
                projection).ConfigureAwait(false);
            generations = await GenerationsAsync(connection, projection, cancellation).ConfigureAwait(false);
            if (generations.Find(g => !g.Serving) is not { } next || generations.Find(g => g.Serving) is not { } last)
                return SwapResult.NothingToSwap;
            var began = time.GetTimestamp();
            while (!await HoldsAtLeastAsync(connection, projection, 0, cancellation).ConfigureAwait(false))
            {
                if (time.GetElapsedTime(began) > SwapPatience)
                    return SwapResult.NotYet;
                await Task.Delay(SwapPoll, time, cancellation).ConfigureAwait(false);
            }

            await DropAsync(connection, projection, last.Number, cancellation).ConfigureAwait(false);
            await ExecuteAsync(
                connection, "UPDATE readmodel.generations SET serving = true WHERE projection = $1", cancellation, projection)
                .ConfigureAwait(false);
            await ShowAsync(connection, projection, next.Number, cancellation).ConfigureAwait(false);
            await transaction.CommitAsync(cancellation).ConfigureAwait(false);
            return SwapResult.Swapped;
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.LockNotAvailable)
        {
            // Somebody reads for long. Until they have ended the old tables serve, and in between everybody else gets to read.
            return SwapResult.NotYet;
        }
    }

    // Whether each partition of the new tables stands where the serving one stands, or (a checkpoint of a journal that was restored may
    // lie beyond it) at the head.
    private static async Task<bool> HoldsAtLeastAsync(
        NpgsqlConnection connection, string projection, int near, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            """
            SELECT bool_and(next.parked_position IS NULL
                AND next.position >= least(coalesce((
                    SELECT max(last.position) FROM readmodel.generations old JOIN readmodel.checkpoints last USING (projection, generation)
                    WHERE projection = $1 AND old.serving AND (old.partitions <> g.partitions OR last.partition = next.partition)), 0),
                    h.position) - $2)
            FROM readmodel.generations g JOIN readmodel.checkpoints next USING (projection, generation) CROSS JOIN journal.head h
            WHERE projection = $1 AND NOT g.serving
            """,
            connection)
        {
            Parameters = { new NpgsqlParameter<string> { TypedValue = projection }, new NpgsqlParameter<int> { TypedValue = near } },
        };
        return await command.ExecuteScalarAsync(cancellation).ConfigureAwait(false) is true;
    }

    private static async Task LockAsync(NpgsqlConnection connection, string projection, CancellationToken cancellation)
    {
        await ExecuteAsync(
            connection, "INSERT INTO readmodel.projections (name) VALUES ($1) ON CONFLICT DO NOTHING", cancellation, projection)
            .ConfigureAwait(false);
        // A statement of its own, so that what comes after the wait sees what was committed during it.
        await ExecuteAsync(connection, "SELECT FROM readmodel.projections WHERE name = $1 FOR NO KEY UPDATE", cancellation, projection)
            .ConfigureAwait(false);
    }

    private static async Task<List<Generation>> GenerationsAsync(
        NpgsqlConnection connection, string projection, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            "SELECT generation, fold_version, partitions, serving FROM readmodel.generations WHERE projection = $1 ORDER BY generation",
            connection)
        {
            Parameters = { new NpgsqlParameter<string> { TypedValue = projection } },
        };
        var generations = new List<Generation>();
        await using var reader = await command.ExecuteReaderAsync(cancellation).ConfigureAwait(false);
        while (await reader.ReadAsync(cancellation).ConfigureAwait(false))
            generations.Add(new(reader.GetInt32(0), reader.GetInt32(1), reader.GetInt32(2), reader.GetBoolean(3)));
        return generations;
    }

    private static async Task<int> AddAsync(
        NpgsqlConnection connection, Projection projection, int partitions, bool serving, CancellationToken cancellation)
    {
        await using var add = new NpgsqlCommand(
            """
            WITH numbered AS (
                UPDATE readmodel.projections SET last_generation = last_generation + 1 WHERE name = $1
                RETURNING last_generation AS generation
            ), added AS (
                INSERT INTO readmodel.generations (projection, generation, fold_version, partitions, serving, tables)
                SELECT $1, n.generation, $2, $3, $4, $5 FROM numbered n RETURNING generation
            ), begun AS (
                INSERT INTO readmodel.checkpoints (projection, generation, partition)
                SELECT $1, a.generation, p FROM added a, generate_series(0, $3 - 1) p
            )
            SELECT generation FROM added
            """,
            connection)
        {
            Parameters =
            {
                new NpgsqlParameter<string> { TypedValue = projection.Name },
                new NpgsqlParameter<int> { TypedValue = projection.FoldVersion },
                new NpgsqlParameter<int> { TypedValue = partitions },
                new NpgsqlParameter<bool> { TypedValue = serving },
                new NpgsqlParameter<string[]> { TypedValue = [.. projection.Tables] },
            },
        };
        var number = (int)(await add.ExecuteScalarAsync(cancellation).ConfigureAwait(false))!;
        var tables = new ProjectionTables(number);
        await ExecuteAsync(connection, projection.Create(tables), cancellation).ConfigureAwait(false);
        foreach (var table in projection.Tables)
            await ExecuteAsync(connection, $"GRANT SELECT ON {tables[table]} TO {Roles.Owner}", cancellation).ConfigureAwait(false);
        if (serving)
            await ShowAsync(connection, projection.Name, number, cancellation).ConfigureAwait(false);
        return number;
    }

    // Dropped and made again: a view that is replaced must keep its columns. A reader that waits for the old one finds the new one, since
    // names are looked up again after the wait.
    private static async Task ShowAsync(NpgsqlConnection connection, string projection, int generation, CancellationToken cancellation)
    {
        foreach (var table in await TablesAsync(connection, projection, generation, cancellation).ConfigureAwait(false))
        {
            await ExecuteAsync(
                connection,
                $"""
                DROP VIEW IF EXISTS readmodel.{table};
                CREATE VIEW readmodel.{table} AS SELECT * FROM {new ProjectionTables(generation)[table]};
                GRANT SELECT ON readmodel.{table} TO {Roles.Owner};
                """,
                cancellation).ConfigureAwait(false);
        }
    }

    private static async Task DropAsync(NpgsqlConnection connection, string projection, int generation, CancellationToken cancellation)
    {
        var tables = await TablesAsync(connection, projection, generation, cancellation).ConfigureAwait(false);
        await ExecuteAsync(
            connection,
            "DELETE FROM readmodel.generations WHERE projection = $1 AND generation = $2",
            cancellation,
            projection,
            generation).ConfigureAwait(false);
        foreach (var table in tables)
        {
            // Its view first, as readers take them.
            await ExecuteAsync(
                connection,
                $"""
                DO $$ BEGIN
                    IF EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
                        WHERE d.refobjid = to_regclass('{new ProjectionTables(generation)[table]}')
                            AND r.ev_class = to_regclass('readmodel.{table}'))
                    THEN DROP VIEW readmodel.{table}; END IF;
                END $$;
                DROP TABLE IF EXISTS {new ProjectionTables(generation)[table]};
                """,
                cancellation).ConfigureAwait(false);
        }
    }

    private static async Task<string[]> TablesAsync(
        NpgsqlConnection connection, string projection, int generation, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            "SELECT tables FROM readmodel.generations WHERE projection = $1 AND generation = $2", connection)
        {
            Parameters = { new NpgsqlParameter<string> { TypedValue = projection }, new NpgsqlParameter<int> { TypedValue = generation } },
        };
        return (string[])(await command.ExecuteScalarAsync(cancellation).ConfigureAwait(false))!;
    }

    private static async Task ExecuteAsync(
        NpgsqlConnection connection, string sql, CancellationToken cancellation, params object[] parameters)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        foreach (var value in parameters)
            command.Parameters.Add(new() { Value = value });
        await command.ExecuteNonQueryAsync(cancellation).ConfigureAwait(false);
    }

    private static void Key(NpgsqlParameterCollection parameters, string projection, int generation, Partition partition)
    {
        parameters.Add(new NpgsqlParameter<string> { TypedValue = projection });
        parameters.Add(new NpgsqlParameter<int> { TypedValue = generation });
        parameters.Add(new NpgsqlParameter<int> { TypedValue = partition.Number });
    }
}
