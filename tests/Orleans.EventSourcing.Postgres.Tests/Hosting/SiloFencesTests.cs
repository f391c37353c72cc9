using Bank.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Orleans.EventSourcing.Postgres.Tests.LogConsistency;
using Orleans.Runtime;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Hosting;

/// <summary>A silo that was declared dead may be only frozen: nobody loads what it may still write.</summary>
public sealed class SiloFencesTests(PrivatePostgres postgres) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private TestDatabase _database = null!;
    private NpgsqlDataSource _owner = null!;

    // What a silo's connections do, only its own role may see.
    private NpgsqlDataSource _app = null!;

    public async ValueTask InitializeAsync()
    {
        _database = await postgres.CreateDatabaseAsync();
        _owner = NpgsqlDataSource.Create(_database.Owner);
        _app = NpgsqlDataSource.Create(_database.App);
    }

    public async ValueTask DisposeAsync()
    {
        await _owner.DisposeAsync();
        await _app.DisposeAsync();
    }

    [Fact]
    public async Task Nothing_is_loaded_while_a_dead_silo_is_not_fenced_and_everything_as_soon_as_it_is()
    {
        await using var survivor = await JournalSilo.StartAsync(_database, "test");
        await using var victim = await JournalSilo.StartAsync(_database, "test");
        // Not by a grain, which could go on answering from the victim's memory.
        Assert.IsType<AppendOutcome.Appended>(await victim.Journal.AppendAsync(Append("forking-victims")));
        var name = SiloName.Of("test", victim.Address);
        await victim.DropAsync();
        await Eventually.UntilAsync("the victim is dead in the survivor's view", () => IsDead(survivor, victim.Address), Patience);
        // What was loaded before the death has fenced it already; nothing must have.
        await using var connection = await _owner.OpenConnectionAsync(TestContext.Current.CancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(TestContext.Current.CancellationToken);
        Assert.False(await IsFencedAsync(name));
        await using (var hold = new NpgsqlCommand("SELECT FROM journal.head FOR UPDATE", connection, transaction))
            await hold.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);

        var ledger = survivor.Grains.GetGrain<IForkingLedger>("victims");
        var loading = ledger.Look();
        await Eventually.UntilAsync(
            "the survivor waits to fence the victim",
            async () =>
            {
                // A call may still have been sent to the dead silo.
                if (loading.IsFaulted)
                    loading = ledger.Look();
                var waiting = await ScalarAsync<long>(
                    _app,
                    """
                    SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%journal.fence%'
                    """);
                var read = survivor.Journal.EventsRead("forking-victims");
                return (waiting > 0, (object?)$"the load is {loading.Status}, {read} events were read");
            },
            Patience);
        Assert.False(loading.IsCompleted);
        Assert.Equal(0, survivor.Journal.EventsRead("forking-victims"));
        await transaction.RollbackAsync(TestContext.Current.CancellationToken);

        Assert.Equal(new(1, 1, 1), await loading);
        Assert.True(await IsFencedAsync(name));
        await using var awake = Open(name, out _);
        Assert.IsType<AppendOutcome.Unavailable>(await awake.AppendAsync(Append("forking-late")));
    }

    [Fact]
    public async Task All_who_wait_for_a_dead_silo_to_be_fenced_hear_at_the_same_time_that_it_cannot_be()
    {
        await using var survivor = await JournalSilo.StartAsync(_database, "test", o => o.ReadTimeout = TimeSpan.FromSeconds(3));
        await using var victim = await JournalSilo.StartAsync(_database, "test");
        await victim.DropAsync();
        await Eventually.UntilAsync("the victim is dead in the survivor's view", () => IsDead(survivor, victim.Address), Patience);
        await using var connection = await _owner.OpenConnectionAsync(TestContext.Current.CancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(TestContext.Current.CancellationToken);
        await using (var hold = new NpgsqlCommand("SELECT FROM journal.head FOR UPDATE", connection, transaction))
            await hold.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);

        var fences = survivor.Services.GetRequiredService<ISiloFences>();
        Task[] waiting = [.. Enumerable.Range(0, 20).Select(_ => fences.WaitAsync(TestContext.Current.CancellationToken))];
        // One after the other they would take a minute, longer than Orleans lets a call to a grain take.
        await Task.WhenAll(waiting).ContinueWith(_ => { }, TaskScheduler.Default)
            .WaitAsync(TimeSpan.FromSeconds(25), TestContext.Current.CancellationToken);
        Assert.All(waiting, one => Assert.IsType<JournalUnavailableException>(one.Exception?.InnerException));

        await transaction.RollbackAsync(TestContext.Current.CancellationToken);
        await fences.WaitAsync(TestContext.Current.CancellationToken);
        Assert.True(await IsFencedAsync(SiloName.Of("test", victim.Address)));
    }

    [Fact]
    public async Task A_silo_fences_whoever_had_its_endpoint_before_it_and_nobody_else()
    {
        var port = JournalSilo.FreePort();
        var predecessor = $"test/127.0.0.1:{port}@1";
        string[] others = [$"test/127.0.0.1:{port}0@1", $"other/127.0.0.1:{port}@1", $"test/127.0.0.2:{port}@1"];
        foreach (var name in (string[])[predecessor, .. others])
        {
            await using var journal = Open(name, out _);
            Assert.IsType<AppendOutcome.Appended>(await journal.AppendAsync(Append("forking-" + Guid.NewGuid().ToString("n"))));
        }

        await using var silo = await JournalSilo.StartAsync(_database, "test", siloPort: port);

        Assert.True(await IsFencedAsync(predecessor));
        foreach (var name in others)
            Assert.False(await IsFencedAsync(name), name);
        Assert.Equal(new(1, 1, 1), await silo.Grains.GetGrain<IForkingLedger>("mine").Add([1]));
        await using var awake = Open(predecessor, out var told);
        Assert.IsType<AppendOutcome.Unavailable>(await awake.AppendAsync(Append("forking-late")));
        Assert.Equal(1, told.Fenced);
    }

    [Fact]
    public async Task A_silo_that_is_fenced_writes_nothing_and_ends()
    {
        await using var silo = await JournalSilo.StartAsync(_database, "test");
        var ledger = silo.Grains.GetGrain<IForkingLedger>("mine");
        await ledger.Add([1]);
        Assert.False(silo.Stopping.IsCancellationRequested);
        await using (var fence = _owner.CreateCommand("SELECT journal.fence(ARRAY[$1])"))
        {
            fence.Parameters.Add(new NpgsqlParameter<string> { TypedValue = SiloName.Of("test", silo.Address) });
            await fence.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }

        await Assert.ThrowsAsync<JournalUnavailableException>(() => ledger.AddIf([1]));

        await Eventually.UntilAsync("the silo stops", () => silo.Stopping.IsCancellationRequested, Patience);
        Assert.Equal(1, await ScalarAsync<long>(_owner, "SELECT count(*) FROM journal.events"));
    }

    private static bool IsDead(JournalSilo observer, SiloAddress silo) =>
        observer.Services.GetRequiredService<IClusterMembershipService>().CurrentSnapshot.GetSiloStatus(silo) == SiloStatus.Dead;

    private PostgresJournal Open(string silo, out Told told) => new(
        new() { ConnectionString = _database.App },
        silo,
        told = new Told(),
        TimeProvider.System,
        NullLogger<PostgresJournal>.Instance);

    private static Append Append(string stream)
    {
        var id = Guid.NewGuid();
        var data = "{\"Amount\": 1}"u8.ToArray();
        return new(stream, default, [new(id, "Credited", 1, data, EventMetadata.Write(1, 1, id, [], null))], new());
    }

    private async Task<bool> IsFencedAsync(string silo)
    {
        await using var command = _owner.CreateCommand(
            "SELECT EXISTS (SELECT FROM journal.writers WHERE silo = $1 AND fenced_at IS NOT NULL)");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = silo });
        return (bool)(await command.ExecuteScalarAsync(TestContext.Current.CancellationToken))!;
    }

    private static async Task<T> ScalarAsync<T>(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync(TestContext.Current.CancellationToken))!;
    }

    private sealed class Told : ISiloFences
    {
        public int Fenced { get; private set; }

        public Task WaitAsync(CancellationToken cancellation) => Task.CompletedTask;

        public void OnFenced() => Fenced++;
    }
}
