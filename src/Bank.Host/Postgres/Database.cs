using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Orleans.EventSourcing.Postgres.Schema;

namespace Bank.Host.Postgres;

/// <summary>The database of a command: the one that the environment names, or the private one, running for as long as this lives.</summary>
internal sealed class Database : IAsyncDisposable
{
    private readonly PostgresLease? lease;

    private Database(string app, string owner, LocalPostgres? local, PostgresLease? lease)
    {
        App = app;
        Owner = owner;
        Local = local;
        this.lease = lease;
    }

    /// <summary>Connects as the system does.</summary>
    public string App { get; }

    /// <summary>Connects as the owner does.</summary>
    public string Owner { get; }

    /// <summary>The private server; null with an external database.</summary>
    public LocalPostgres? Local { get; }

    /// <summary>Opens the database; the private server is installed, made and started where need be.</summary>
    public static async Task<Database> OpenAsync(HostSettings settings, IProgress<string> progress, CancellationToken cancellation)
    {
        if (settings is { ExternalApp: { } app, ExternalOwner: { } owner })
            return new(Checked(app, "ConnectionStrings__Bank"), Checked(owner, "ConnectionStrings__BankOwner"), null, null);

        if ((await PostgresPrograms.FindAsync(cancellation)).Count == 0)
            await PostgresInstaller.InstallAsync(progress, cancellation);
        var local = await LocalPostgres.AtAsync(settings.DataDirectory, cancellation);
        if (local.ProcessId is null)
            progress.Report(
                $"{(LocalPostgres.Exists(settings.DataDirectory) ? "starting" : "making and starting")} a private " +
                $"PostgreSQL {local.Programs.MajorVersion} in {settings.DataDirectory}");
        var lease = await PostgresLease.TakeAsync(local, settings.DataDirectory, TimeProvider.System, cancellation);
        return new(local.AppConnectionString, local.OwnerConnectionString, local, lease);
    }

    /// <summary>Runs every pending script.</summary>
    public async Task<IReadOnlyList<string>> MigrateAsync(IProgress<string> progress, CancellationToken cancellation)
    {
        await using var source = NpgsqlDataSource.Create(Owner);
        await (await ConnectAsync(source, Owner, cancellation)).DisposeAsync();
        // Where the owner makes bank_app, it makes it with the password that the system is going to use.
        var app = new NpgsqlConnectionStringBuilder(App);
        var password = app.Username == Roles.App ? app.Password : null;
        return await new Migrator(source, Schemas.All, NullLogger.Instance, password).MigrateAsync(progress, cancellation);
    }

    /// <summary>The scripts that the database lacks.</summary>
    public async Task<IReadOnlyList<string>> PendingAsync(CancellationToken cancellation)
    {
        await using var source = NpgsqlDataSource.Create(App);
        await (await ConnectAsync(source, App, cancellation)).DisposeAsync();
        return await new Migrator(source, Schemas.All, NullLogger.Instance).PendingAsync(cancellation);
    }

    /// <summary>Which of the settings that a commit's durability rests on are off; empty when it can be relied on.</summary>
    public async Task<IReadOnlyList<string>> DurabilityProblemsAsync(CancellationToken cancellation)
    {
        await using var source = NpgsqlDataSource.Create(App);
        await using var connection = await ConnectAsync(source, App, cancellation);
        await using var command = new NpgsqlCommand(
            """
            SELECT name || ' is ' || setting FROM pg_catalog.pg_settings
            WHERE (name IN ('fsync', 'full_page_writes') AND setting = 'off')
               OR (name = 'synchronous_commit' AND setting = 'off')
               OR (name = 'synchronous_commit' AND setting = 'local' AND current_setting('synchronous_standby_names') <> '')
            ORDER BY name
            """,
            connection);
        var problems = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            problems.Add(reader.GetString(0));
        return problems;
    }

    public ValueTask DisposeAsync() => lease?.DisposeAsync() ?? ValueTask.CompletedTask;

    private static string Checked(string connectionString, string variable)
    {
        try
        {
            return new NpgsqlConnectionStringBuilder(connectionString).Host is null
                ? throw new CommandException(ExitCode.DatabaseUnreachable, $"{variable} names no Host.")
                : connectionString;
        }
        catch (Exception e) when (e is ArgumentException or FormatException)
        {
            throw new CommandException(ExitCode.DatabaseUnreachable, $"{variable} is not a connection string: {e.Message}", e);
        }
    }

    private static async Task<NpgsqlConnection> ConnectAsync(
        NpgsqlDataSource source, string connectionString, CancellationToken cancellation)
    {
        var target = new NpgsqlConnectionStringBuilder(connectionString);
        NpgsqlConnection connection;
        try
        {
            connection = await source.OpenConnectionAsync(cancellation);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            throw new CommandException(
                ExitCode.DatabaseUnreachable,
                $"The database {target.Database} at {target.Host}:{target.Port} cannot be reached as {target.Username}: " +
                (e is PostgresException refused ? refused.MessageText : (e.InnerException ?? e).Message),
                e);
        }

        if (connection.PostgreSqlVersion.Major >= Migrator.MinimumServerVersion)
            return connection;
        var version = connection.PostgreSqlVersion;
        await connection.DisposeAsync();
        throw new CommandException(
            ExitCode.DatabaseTooOld,
            $"The database server at {target.Host}:{target.Port} is PostgreSQL {version}; " +
            $"version {Migrator.MinimumServerVersion} or newer is needed.");
    }
}
