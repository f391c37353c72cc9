using Bank.Testing;
using Npgsql;
using Xunit;

[assembly: AssemblyFixture(typeof(PrivatePostgres))]

namespace Bank.Cluster.Tests;

/// <summary>A migrated database for the tests of one class, as Orleans' providers connect to it.</summary>
public sealed class OrleansDatabase(PrivatePostgres postgres) : IAsyncLifetime
{
    /// <summary>The invariant name under which Orleans knows Npgsql.</summary>
    public const string Invariant = "Npgsql";

    /// <summary>As <c>bank_app</c>, with the search path that the providers need to find their queries.</summary>
    public string ConnectionString { get; private set; } = "";

    public async ValueTask InitializeAsync() => ConnectionString =
        new NpgsqlConnectionStringBuilder((await postgres.CreateDatabaseAsync()).App) { SearchPath = "orleans" }.ConnectionString;

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
