using Bank.Testing;
using Npgsql;
using Xunit;

namespace Bank.Cluster.Tests;

/// <summary>A cluster of two silos on a database of its own.</summary>
public sealed class TwoSilos(PrivatePostgres postgres) : IAsyncLifetime
{
    public const string ClusterId = "two-silos";

    private readonly OrleansDatabase database = new(postgres);
    private readonly List<TestSilo> silos = [];

    public string ConnectionString => database.ConnectionString;

    public TestSilo First => silos[0];

    public TestSilo Second => silos[1];

    public async ValueTask InitializeAsync()
    {
        await database.InitializeAsync();
        try
        {
            // At once: the first members of a cluster race for its first version.
            silos.AddRange(await Task.WhenAll(StartSiloAsync(), StartSiloAsync()));
        }
        catch
        {
            await DisposeAsync();
            throw;
        }
    }

    /// <summary>A further silo, which the caller ends.</summary>
    public Task<TestSilo> StartSiloAsync() =>
        TestSilo.StartAsync(database.ConnectionString, ClusterId, TestContext.Current.CancellationToken);

    public async Task<T> ScalarAsync<T>(string sql)
    {
        await using var source = NpgsqlDataSource.Create(database.ConnectionString);
        await using var command = source.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var silo in silos)
        {
            await silo.DisposeAsync();
        }
    }
}
