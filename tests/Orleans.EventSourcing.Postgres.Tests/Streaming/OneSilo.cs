using Bank.Testing;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Orleans.EventSourcing.Postgres.Tests.Journal;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Streaming;

/// <summary>A silo, a client and a journal on a database of their own, with so little memory that history is mostly read again.</summary>
public sealed class OneSilo(PrivatePostgres postgres) : IAsyncLifetime
{
    public const int BatchEvents = 40;

    private PostgresJournal? _journal;
    private NpgsqlDataSource? _app;
    private long _streams;

    public StreamSilo Silo { get; private set; } = null!;

    public StreamSilo Client { get; private set; } = null!;

    public PostgresJournal Journal => _journal!;

    public TestDatabase Database { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Database = await postgres.CreateDatabaseAsync();
        _app = NpgsqlDataSource.Create(Database.App);
        _journal = new(
            new() { ConnectionString = Database.App }, "test/writer", ISiloFences.None, TimeProvider.System,
            Microsoft.Extensions.Logging.Abstractions.NullLogger<PostgresJournal>.Instance);
        var cancellation = TestContext.Current.CancellationToken;
        Silo = await StreamSilo.StartAsync(
            Database.App,
            cancellation,
            o => (o.WindowEvents, o.BatchEvents, o.EmptyIntervalAfter) = (100, BatchEvents, TimeSpan.FromSeconds(1)),
            silo => silo.Services.Configure<Orleans.Configuration.StreamPullingAgentOptions>(
                JournalStreams.Provider, o => o.MaxEventDeliveryTime = TimeSpan.FromSeconds(1)));
        Client = await StreamSilo.StartClientAsync(Database.App, cancellation);
    }

    /// <summary>Appends events, some to a batch, to streams of their own, and says where the journal ends then.</summary>
    public async Task<long> AppendAsync(int events)
    {
        var outcomes = await Task.WhenAll(Enumerable.Range(0, events).Select(_ =>
            Journal.AppendAsync(Make.First($"account-{Interlocked.Increment(ref _streams)}")).AsTask()));
        return outcomes.Max(o => Assert.IsType<AppendOutcome.Appended>(o).LastPosition.Value);
    }

    public async ValueTask DisposeAsync()
    {
        if (Client is not null)
            await Client.DisposeAsync();
        if (Silo is not null)
            await Silo.DisposeAsync();
        if (_journal is not null)
            await _journal.DisposeAsync();
        if (_app is not null)
            await _app.DisposeAsync();
    }
}
