using Bank.Host;
using Bank.Host.Postgres;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Orleans.EventSourcing.Postgres.Schema;
using Xunit;

namespace Bank.Testing;

/// <summary>A database of a test's own, migrated and empty.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Owner">Connects as <c>bank_owner</c>.</param>
/// <param name="App">Connects as <c>bank_app</c>, as the product does.</param>
public sealed record TestDatabase(string Name, string Owner, string App);

/// <summary>One PostgreSQL cluster per test assembly, in a directory that goes when the tests have ended.</summary>
/// <remarks>
/// Use it as <c>[assembly: AssemblyFixture(typeof(PrivatePostgres))]</c>. Tests that stop or kill the server take an
/// <see cref="UnshakenPostgres"/>, which flushes as the product does, and not the one that the other tests share.
/// </remarks>
public class PrivatePostgres : IAsyncLifetime
{
    private const string Template = "bank_template";

    private readonly string directory = Path.Combine(Path.GetTempPath(), $"bank-{Guid.NewGuid():n}");
    private readonly LocalPostgresOptions options;
    private LocalPostgres? postgres;
    private int databases;

    /// <summary>A cluster that is quick and does not survive the machine: for tests that kill nothing.</summary>
    public PrivatePostgres()
        : this(new Dictionary<string, string> { ["fsync"] = "off" })
    {
    }

    /// <param name="settings">Server settings; those of durability are at their defaults, so on, unless named here.</param>
    protected PrivatePostgres(IReadOnlyDictionary<string, string> settings) =>
        options = new()
        {
            FlushNewCluster = false,
            Settings = settings,
        };

    /// <summary>The server, to stop, kill and start.</summary>
    public LocalPostgres Server => postgres ?? throw new InvalidOperationException("The cluster has not been started.");

    /// <summary>Makes, starts and migrates the cluster.</summary>
    public async ValueTask InitializeAsync()
    {
        try
        {
            postgres = await LocalPostgres.AtAsync(directory, CancellationToken.None, options);
            await postgres.StartAsync(CancellationToken.None);
            await AsSuperuserAsync($"CREATE DATABASE {Template} OWNER {Roles.Owner}");
            await using var owner = NpgsqlDataSource.Create(Unpooled(ConnectionTo(Template).Owner));
            await new Migrator(owner, Schemas.All, NullLogger.Instance).MigrateAsync(null, CancellationToken.None);
        }
        catch
        {
            // A fixture that fails to begin is not disposed, and would leave a server behind.
            await DisposeAsync();
            throw;
        }
    }

    /// <summary>A fresh database with every schema of the product; it lives as long as the cluster.</summary>
    public async Task<TestDatabase> CreateDatabaseAsync()
    {
        var name = $"bank_{Interlocked.Increment(ref databases)}";
        await AsSuperuserAsync($"CREATE DATABASE {name} TEMPLATE {Template} OWNER {Roles.Owner}");
        return ConnectionTo(name);
    }

    /// <summary>A fresh database without any schema.</summary>
    public async Task<TestDatabase> CreateEmptyDatabaseAsync()
    {
        var name = $"bank_{Interlocked.Increment(ref databases)}";
        await AsSuperuserAsync($"CREATE DATABASE {name} OWNER {Roles.Owner}");
        return ConnectionTo(name);
    }

    /// <summary>Runs a statement as superuser, for example one that changes a role or terminates a backend.</summary>
    public async Task AsSuperuserAsync(string sql)
    {
        await using var superuser = NpgsqlDataSource.Create(Unpooled(Server.SuperuserConnectionString));
        await using var command = superuser.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Ends the server and removes its files.</summary>
    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        NpgsqlConnection.ClearAllPools();
        if (postgres is not null)
            await postgres.KillAsync(CancellationToken.None);
        if (Directory.Exists(directory))
            Directory.Delete(directory, recursive: true);
    }

    private TestDatabase ConnectionTo(string database) =>
        new(database, To(Server.OwnerConnectionString, database), To(Server.AppConnectionString, database));

    private static string To(string connectionString, string database) =>
        new NpgsqlConnectionStringBuilder(connectionString) { Database = database }.ConnectionString;

    private static string Unpooled(string connectionString) =>
        new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString;
}

/// <summary>A cluster that flushes to disk as the product's does, for tests of death: kill it, stop it, start it again.</summary>
public sealed class UnshakenPostgres() : PrivatePostgres(new Dictionary<string, string>());
