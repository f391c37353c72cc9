using System.Data;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Orleans.EventSourcing.Postgres.Schema;

/// <summary>Brings a database forward to the scripts of this build; it never goes back.</summary>
/// <remarks>
/// What was run is recorded in <c>journal.migrations</c>. Each script runs in a transaction with its record, as the role
/// <c>bank_owner</c>, so that the same role owns everything whoever connects. Migrating processes of one database run one after the other.
/// </remarks>
/// <param name="dataSource">
/// Connects as <c>bank_owner</c>, or as a role that may act as it. For <see cref="PendingAsync"/>, <c>bank_app</c> will do.
/// </param>
/// <param name="sets">The schemas, in the order in which they are migrated.</param>
/// <param name="logger">Told of every script.</param>
/// <param name="appPassword">The password that <c>bank_app</c> gets where it does not exist yet; without one it cannot log in.</param>
public sealed class Migrator(NpgsqlDataSource dataSource, IReadOnlyList<SqlScripts> sets, ILogger logger, string? appPassword = null)
{
    /// <summary>The oldest server that is supported: its major version.</summary>
    public const int MinimumServerVersion = 15;

    // Any constant will do, as long as it stays the same: a lock of one database, held by the session that migrates it.
    private const long MigrationLock = 0x62616e6b_6d696772;

    /// <summary>Runs every script that is missing, and every function whose text has changed.</summary>
    /// <param name="progress">Told before each script, and of what could not be set, a sentence each.</param>
    /// <param name="cancellation">Ends the work between two scripts, or inside one, which is then rolled back.</param>
    /// <returns>The scripts that were run, as <c>schema/name</c>; empty when the database was up to date.</returns>
    /// <exception cref="MigrationException">
    /// A script fails, or was changed after it had run; the database is newer than this build; the server is too old; a role is missing.
    /// </exception>
    public async Task<IReadOnlyList<string>> MigrateAsync(IProgress<string>? progress, CancellationToken cancellation)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellation);
        RefuseTooOld(connection);
        await LockAsync(connection, progress, cancellation);
        try
        {
            foreach (var refusal in await Roles.EnsureAsync(connection, null, appPassword, cancellation))
            {
                Log.RoleSettingRefused(logger, refusal);
                progress?.Report(refusal);
            }

            await CreateSchemasAsync(connection, cancellation);
            var pending = PendingIn(await RecordAsync(connection, cancellation));
            foreach (var (schema, script) in pending)
            {
                progress?.Report($"migrating {schema}/{script.Name}");
                await RunAsync(connection, schema, script, cancellation);
                Log.ScriptApplied(logger, schema, script.Name);
            }

            return [.. pending.Select(next => $"{next.Schema}/{next.Script.Name}")];
        }
        finally
        {
            // The session goes back to the pool, and would keep the lock there. One that broke has lost it already.
            if (connection.State == ConnectionState.Open)
                await UnlockAsync(connection);
        }
    }

    /// <summary>Tells which scripts the database lacks, as <c>schema/name</c>; empty when it is migrated.</summary>
    /// <exception cref="MigrationException">The database is newer than this build, or not one that it could migrate.</exception>
    public async Task<IReadOnlyList<string>> PendingAsync(CancellationToken cancellation)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellation);
        RefuseTooOld(connection);
        return [.. PendingIn(await RecordAsync(connection, cancellation)).Select(next => $"{next.Schema}/{next.Script.Name}")];
    }

    private List<(string Schema, SqlScript Script)> PendingIn(Dictionary<(string Schema, string Script), string> record)
    {
        var pending = new List<(string, SqlScript)>();
        foreach (var (schema, numbered, functions) in sets)
        {
            var known = numbered.Select(script => script.Name).ToHashSet(StringComparer.Ordinal);
            var newer = record.Keys
                .Where(key => key.Schema == schema && new SqlScript(key.Script, "").Number is not null && !known.Contains(key.Script))
                .Select(key => key.Script)
                .Order(StringComparer.Ordinal)
                .LastOrDefault();
            if (newer is not null)
                throw new MigrationException(
                    $"The database is newer than this build: it has {schema}/{newer}, which is not in this one. Run the newer build.");

            foreach (var script in numbered)
            {
                if (!record.TryGetValue((schema, script.Name), out var checksum))
                    pending.Add((schema, script));
                else if (checksum != script.Checksum)
                    throw new MigrationException(
                        $"{schema}/{script.Name} was changed after this database had run it. " +
                        "Put it back as it was and write the change as a new script.");
            }

            pending.AddRange(functions
                .Where(script => record.GetValueOrDefault((schema, script.Name)) != script.Checksum)
                .Select(script => (schema, script)));
        }

        return pending;
    }

    private static void RefuseTooOld(NpgsqlConnection connection)
    {
        if (connection.PostgreSqlVersion.Major < MinimumServerVersion)
            throw new MigrationException(
                $"The database server is PostgreSQL {connection.PostgreSqlVersion}; {MinimumServerVersion} or newer is needed.");
    }

    private static async Task LockAsync(NpgsqlConnection connection, IProgress<string>? progress, CancellationToken cancellation)
    {
        await using var attempt = new NpgsqlCommand("SELECT pg_try_advisory_lock($1)", connection)
        {
            Parameters = { new() { Value = MigrationLock } },
        };
        if ((bool)(await attempt.ExecuteScalarAsync(cancellation))!)
            return;

        progress?.Report("another process is migrating this database; waiting for it");
        // No time-out: how long the other one takes is its scripts' business, and the lock goes with its session.
        await using var wait = new NpgsqlCommand("SELECT pg_advisory_lock($1)", connection)
        {
            CommandTimeout = 0,
            Parameters = { new() { Value = MigrationLock } },
        };
        await wait.ExecuteNonQueryAsync(cancellation);
    }

    private static async Task UnlockAsync(NpgsqlConnection connection)
    {
        await using var unlock = new NpgsqlCommand("SELECT pg_advisory_unlock($1)", connection)
        {
            Parameters = { new() { Value = MigrationLock } },
        };
        await unlock.ExecuteNonQueryAsync(CancellationToken.None);
    }

    private async Task CreateSchemasAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        var statements = sets.Select(set => set.Schema).Prepend("journal").Distinct().Select(schema =>
            $"""
            CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {Roles.Owner};
            SET LOCAL ROLE {Roles.Owner};
            GRANT USAGE ON SCHEMA {schema} TO {Roles.App};
            RESET ROLE;
            """);
        var record = $"""
            SET LOCAL ROLE {Roles.Owner};
            CREATE TABLE IF NOT EXISTS journal.migrations (
                schema text NOT NULL,
                script text NOT NULL,
                checksum text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT now(),
                PRIMARY KEY (schema, script));
            GRANT SELECT ON journal.migrations TO {Roles.App};
            """;
        try
        {
            await InTransactionAsync(connection, string.Join('\n', [.. statements, record]), null, cancellation);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.InsufficientPrivilege)
        {
            throw new MigrationException(
                $"{connection.UserNameOf()} may not create schemas that belong to {Roles.Owner} ({e.MessageText}). Connect as " +
                $"{Roles.Owner} with CREATE on the database, or let a superuser run: GRANT {Roles.Owner} TO {connection.UserNameOf()};", e);
        }
    }

    private static async Task<Dictionary<(string, string), string>> RecordAsync(
        NpgsqlConnection connection, CancellationToken cancellation)
    {
        var record = new Dictionary<(string, string), string>();
        await using var command = new NpgsqlCommand("SELECT schema, script, checksum FROM journal.migrations", connection);
        try
        {
            await using var reader = await command.ExecuteReaderAsync(cancellation);
            while (await reader.ReadAsync(cancellation))
                record.Add((reader.GetString(0), reader.GetString(1)), reader.GetString(2));
        }
        catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.InvalidSchemaName)
        {
            // Never migrated: everything is pending.
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.InsufficientPrivilege)
        {
            throw new MigrationException(
                $"{connection.UserNameOf()} may not read journal.migrations; connect as {Roles.App} or {Roles.Owner}.", e);
        }

        return record;
    }

    private static async Task RunAsync(NpgsqlConnection connection, string schema, SqlScript script, CancellationToken cancellation)
    {
        await using var done = new NpgsqlCommand(
            """
            INSERT INTO journal.migrations (schema, script, checksum) VALUES ($1, $2, $3)
            ON CONFLICT (schema, script) DO UPDATE SET checksum = excluded.checksum, applied_at = excluded.applied_at
            """,
            connection)
        {
            Parameters = { new() { Value = schema }, new() { Value = script.Name }, new() { Value = script.Checksum } },
        };
        try
        {
            await InTransactionAsync(connection, $"SET LOCAL ROLE {Roles.Owner};\n{script.Text}", done, cancellation);
        }
        catch (PostgresException e)
        {
            throw new MigrationException($"{schema}/{script.Name} failed, and was undone: {e.MessageText} ({e.SqlState}){Near(e)}", e);
        }
    }

    private static async Task InTransactionAsync(
        NpgsqlConnection connection, string sql, NpgsqlCommand? then, CancellationToken cancellation)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        // A migration of a large table takes what it takes.
        await using (var command = new NpgsqlCommand(sql, connection, transaction) { CommandTimeout = 0 })
            await command.ExecuteNonQueryAsync(cancellation);
        if (then is not null)
            await then.ExecuteNonQueryAsync(cancellation);
        await transaction.CommitAsync(cancellation);
    }

    private static string Near(PostgresException e) => e switch
    {
        { Position: > 0, InternalQuery: null } when e.BatchCommand is { } statement && e.Position <= statement.CommandText.Length =>
            $" near: {statement.CommandText[(e.Position - 1)..].Split('\n')[0].Trim()}",
        { Where: { Length: > 0 } where } => $" in {where}",
        _ => "",
    };
}
