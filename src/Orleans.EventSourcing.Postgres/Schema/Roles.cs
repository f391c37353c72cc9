using Npgsql;

namespace Orleans.EventSourcing.Postgres.Schema;

/// <summary>The two roles of the database: <c>bank_owner</c> owns the schemas and migrates, <c>bank_app</c> runs the system.</summary>
public static class Roles
{
    /// <summary>Owns every schema; scripts run as this role, whoever connects.</summary>
    public const string Owner = "bank_owner";

    /// <summary>What the silos and gateways connect as: reads, and appends through functions only.</summary>
    public const string App = "bank_app";

    // A client that froze or lost its network must not hold the journal's head for the two hours of the kernel's defaults;
    // and compiling a query that takes microseconds takes milliseconds (see docs/ARCHITECTURE.md).
    private static readonly (string Name, string Value)[] AppSettings =
    [
        ("jit", "off"),
        ("tcp_keepalives_idle", "5"),
        ("tcp_keepalives_interval", "2"),
        ("tcp_keepalives_count", "3"),
        ("tcp_user_timeout", "10000"),
    ];

    /// <summary>Creates the roles that are missing, and gives <c>bank_app</c> its settings where the connected role may.</summary>
    /// <param name="connection">An open connection, of the owner or of a superuser.</param>
    /// <param name="ownerPassword">With one, a missing <c>bank_owner</c> is created able to log in.</param>
    /// <param name="appPassword">With one, a missing <c>bank_app</c> is created able to log in.</param>
    /// <param name="cancellation">Ends the work.</param>
    /// <returns>What could not be set, a sentence each; empty when all is as it should be.</returns>
    /// <exception cref="MigrationException">A role is missing and the connected one may not create it.</exception>
    public static async Task<IReadOnlyList<string>> EnsureAsync(
        NpgsqlConnection connection, string? ownerPassword = null, string? appPassword = null, CancellationToken cancellation = default)
    {
        await CreateMissingAsync(connection, Owner, ownerPassword, cancellation);
        await CreateMissingAsync(connection, App, appPassword, cancellation);

        var actual = await SettingsOfAppAsync(connection, cancellation);
        var refused = new List<string>();
        foreach (var (name, value) in AppSettings)
        {
            // Only what differs is altered: two databases of one server migrating at once would meet in this catalogue row.
            if (actual.Contains($"{name}={value}"))
                continue;

            var statement = $"ALTER ROLE {App} SET {name} = '{value}'";
            try
            {
                await ExecuteAsync(connection, statement, cancellation);
            }
            catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.InsufficientPrivilege)
            {
                refused.Add($"This role may not set {name} for {App}; let a superuser run: {statement};");
            }
        }

        return refused;
    }

    private static async Task CreateMissingAsync(
        NpgsqlConnection connection, string role, string? password, CancellationToken cancellation)
    {
        await using var exists = new NpgsqlCommand("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1", connection)
        {
            Parameters = { new() { Value = role } },
        };
        if (await exists.ExecuteScalarAsync(cancellation) is not null)
            return;

        var login = password is null ? "NOLOGIN" : $"LOGIN PASSWORD '{password.Replace("'", "''", StringComparison.Ordinal)}'";
        try
        {
            await ExecuteAsync(connection, $"CREATE ROLE {role} {login}", cancellation);
        }
        catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.DuplicateObject or PostgresErrorCodes.UniqueViolation)
        {
            // Roles belong to the server: another database's migration created it since the look above.
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.InsufficientPrivilege)
        {
            throw new MigrationException(
                $"The role {role} does not exist and {connection.UserNameOf()} may not create roles; " +
                $"let a superuser run: CREATE ROLE {role} LOGIN PASSWORD '...';", e);
        }
    }

    private static async Task<HashSet<string>> SettingsOfAppAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            "SELECT coalesce(rolconfig, '{}') FROM pg_catalog.pg_roles WHERE rolname = $1", connection)
        {
            Parameters = { new() { Value = App } },
        };
        return [.. (string[])(await command.ExecuteScalarAsync(cancellation))!];
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellation);
    }

    internal static string UserNameOf(this NpgsqlConnection connection) =>
        new NpgsqlConnectionStringBuilder(connection.ConnectionString).Username ?? "the connecting role";
}
