using Bank.ReadModel.Accounts;
using Bank.ReadModel.DailyTotals;
using Bank.ReadModel.Transactions;
using Bank.ReadModel.Transfers;
using Bank.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Orleans.EventSourcing.Postgres;
using Xunit;

namespace Bank.ReadModel.Tests;

/// <summary>A fresh database per test, writers of its journal, and processes that run the bank's projections on it.</summary>
public abstract class ReadModelTest(PrivatePostgres postgres) : IAsyncLifetime
{
    protected static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    protected static readonly int PartitionCount = new ProjectionOptions().Partitions;

    private readonly List<IAsyncDisposable> disposables = [];
    private int silos;

    protected PrivatePostgres Postgres => postgres;

    protected TestDatabase Database { get; private set; } = null!;

    protected NpgsqlDataSource App { get; private set; } = null!;

    protected NpgsqlDataSource Owner { get; private set; } = null!;

    protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Database = await postgres.CreateDatabaseAsync();
        App = Keep(NpgsqlDataSource.Create(Database.App));
        Owner = Keep(NpgsqlDataSource.Create(Database.Owner));
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        disposables.Reverse();
        foreach (var disposable in disposables)
            await disposable.DisposeAsync();
    }

    protected T Keep<T>(T disposable)
        where T : IAsyncDisposable
    {
        disposables.Add(disposable);
        return disposable;
    }

    /// <summary>A journal of a silo of its own, and a client of it.</summary>
    internal BankWriter Writer(int seed, int accounts = 20) => new(Journal(), seed, accounts);

    protected PostgresJournal Journal() => Keep(new PostgresJournal(
        new() { ConnectionString = Database.App }, $"test/silo-{++silos}", ISiloFences.None, TimeProvider.System,
        NullLogger<PostgresJournal>.Instance));

    /// <summary>A process that could run projections.</summary>
    protected ProjectionRuntime Runtime(
        IEnumerable<Projection>? projections = null, Action<ProjectionOptions>? configure = null, string? connectionString = null)
    {
        var options = new ProjectionOptions();
        foreach (var projection in projections ?? OfTheBank())
            options.Projections.Add(projection);
        configure?.Invoke(options);
        return Keep(new ProjectionRuntime(
            new() { ConnectionString = connectionString ?? Database.App }, options, TimeProvider.System,
            NullLogger<ProjectionRuntime>.Instance));
    }

    protected static Projection[] OfTheBank() =>
        [new AccountsProjection(), new TransactionsProjection(), new TransfersProjection(), new DailyTotalsProjection()];

    /// <summary>Opens all partitions of all projections in a process.</summary>
    internal async Task<Partitions> OpenAsync(ProjectionRuntime runtime)
    {
        await runtime.EnsureAsync(Cancellation);
        return Keep(new Partitions(runtime));
    }

    /// <summary>Waits until every partition has handled the journal's head.</summary>
    internal async Task CaughtUpAsync(Partitions partitions)
    {
        var head = await new JournalReaderOf(App).HeadAsync();
        await Task.WhenAll(partitions.All.Select(async p =>
        {
            if (await p.ReachedAsync(head, Patience) is null)
                Assert.Fail($"Waited {Patience} until {p.Projection}/{p.Partition.Number} has reached {head}; last seen: {p.Serving}");
        }));
    }

    /// <summary>Queries that wait for these partitions.</summary>
    internal ReadModels Queries(Partitions partitions) => new(
        Keep(ReadModels.Connect(Database.App)),
        new(PartitionCount, (projection, n, position, within) => partitions.Of(projection, n).ReachedAsync(position, within)));

    protected async Task TablesEqualTheFoldAsync()
    {
        var expected = await JournalFold.OfJournalAsync(App);
        var actual = await JournalFold.OfTablesAsync(App);
        foreach (var (table, rows) in expected)
        {
            Assert.True(rows.Count > 0, $"nothing to compare in {table}");
            Assert.Equal(rows, actual[table]);
        }
    }

    protected async Task<T> ScalarAsync<T>(string sql)
    {
        await using var command = App.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync(Cancellation))!;
    }
}

/// <summary>All partitions of all projections in one process.</summary>
internal sealed class Partitions : IAsyncDisposable
{
    private readonly ProjectionRuntime runtime;
    private readonly ProjectionPartition[] open;

    public Partitions(ProjectionRuntime runtime)
    {
        this.runtime = runtime;
        var count = new ProjectionOptions().Partitions;
        open = [.. runtime.Projections.SelectMany(p => Enumerable.Range(0, count).Select(n => Open(p.Name, n)))];
    }

    public IReadOnlyList<ProjectionPartition> All
    {
        get
        {
            lock (open)
                return [.. open];
        }
    }

    public ProjectionPartition Of(string projection, int partition) =>
        All.Single(p => p.Projection == projection && p.Partition.Number == partition);

    /// <summary>As grains would be woken.</summary>
    public Task WakeAsync(string projection)
    {
        foreach (var partition in All.Where(p => p.Projection == projection))
            partition.Refresh();
        return Task.CompletedTask;
    }

    /// <summary>Ends one activation in the middle of whatever it does, and begins another one, here or in another process.</summary>
    public async Task MoveAsync(int index, ProjectionRuntime to, JournalDelivery delivery)
    {
        var old = open[index];
        lock (delivery.Receivers)
            delivery.Receivers.Remove(old);
        await old.DisposeAsync();
        var next = to.Open(old.Projection, old.Partition.Number, () => WakeAsync(old.Projection));
        lock (open)
            open[index] = next;
        lock (delivery.Receivers)
            delivery.Receivers.Add(next);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var partition in All)
            await partition.DisposeAsync();
    }

    private ProjectionPartition Open(string projection, int n) => runtime.Open(projection, n, () => WakeAsync(projection));
}

internal sealed class JournalReaderOf(NpgsqlDataSource database)
{
    public async Task<Position> HeadAsync()
    {
        await using var command = database.CreateCommand("SELECT position FROM journal.head");
        return new((long)(await command.ExecuteScalarAsync())!);
    }
}
