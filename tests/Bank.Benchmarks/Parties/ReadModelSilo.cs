using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Bank.Benchmarks.Measuring;
using Bank.Contracts;
using Bank.Domain;
using Bank.Host;
using Bank.ReadModel.Transactions;
using Bank.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Orleans.Configuration;
using Orleans.EventSourcing.Postgres;

namespace Bank.Benchmarks.Parties;

/// <summary>A silo in this process, with projections on a journal that is there already.</summary>
internal sealed class ReadModelSilo : IAsyncDisposable
{
    private const string Delay = "projection.delay";
    private const int Accounts = 1_000;

    private readonly IHost _host;
    private readonly NpgsqlDataSource _database;
    private readonly MeterListener _meter = new();
    private readonly ConcurrentDictionary<string, ConcurrentQueue<double>> _delays = [];
    private readonly ConcurrentQueue<(string Stream, StreamState State)> _made = [];

    private ReadModelSilo(IHost host, TestDatabase database)
    {
        (_host, _database) = (host, NpgsqlDataSource.Create(database.App));
        _meter.InstrumentPublished = static (instrument, listener) =>
        {
            if (instrument.Meter.Name == EngineTelemetry.Name && instrument.Name == Delay)
                listener.EnableMeasurementEvents(instrument);
        };
        _meter.SetMeasurementEventCallback<double>((_, seconds, tags, _) =>
        {
            foreach (var tag in tags)
                if (tag.Key == "projection")
                    _delays.GetOrAdd((string)tag.Value!, static _ => []).Enqueue(seconds);
        });
        _meter.Start();
    }

    /// <summary>Nothing but the journal's streams and the projection that counts.</summary>
    public static Task<ReadModelSilo> StartCountingAsync(TestDatabase database, CancellationToken cancellation) => StartAsync(
        database,
        builder => builder.UseOrleans(silo => silo
            .UseLocalhostClustering(Ports.PreferredOrFree(0), Ports.PreferredOrFree(0), serviceId: database.Name, clusterId: database.Name)
            .AddMemoryGrainStorage("PubSubStore")
            .AddPostgresJournal(options => options.ConnectionString = database.App)
            .AddPostgresJournalStreams()
            .AddPostgresProjections(options => options.Projections.Add(new CountingProjection()))
            .Configure<GrainTypeOptions>(options => options.Classes.RemoveWhere(c => c.Namespace == "Bank.Grains.Projections"))),
        cancellation);

    /// <summary>A silo of the product.</summary>
    public static Task<ReadModelSilo> StartBankAsync(TestDatabase database, CancellationToken cancellation) => StartAsync(
        database,
        builder =>
        {
            builder.AddBankSilo(database.App + ";Maximum Pool Size=40", Ports.PreferredOrFree(0), Ports.PreferredOrFree(0));
            builder.Services.Configure<GrainTypeOptions>(options => options.Classes.Remove(typeof(CountingGrain)));
        },
        cancellation);

    private static async Task<ReadModelSilo> StartAsync(
        TestDatabase database, Action<HostApplicationBuilder> compose, CancellationToken cancellation)
    {
        var builder = Microsoft.Extensions.Hosting.Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        compose(builder);
        var host = builder.Build();
        var silo = new ReadModelSilo(host, database);
        try
        {
            await host.StartAsync(cancellation);
            return silo;
        }
        catch
        {
            await silo.DisposeAsync();
            throw;
        }
    }

    /// <summary>How long the read models take from where they are to the journal's head, in events per second.</summary>
    public async Task<double> CatchUpAsync(long events, CancellationToken cancellation)
    {
        var started = Stopwatch.GetTimestamp();
        await UntilAsync(all => all.All(p => p.LagEvents == 0), cancellation);
        return events / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>A rebuild of the transactions while commands come in, and somebody reads.</summary>
    public async Task<IReadOnlyList<Sample>> RebuildAsync(int commandsPerSecond, CancellationToken cancellation)
    {
        const string Projection = TransactionsProjection.ProjectionName;
        var grains = _host.Services.GetRequiredService<IGrainFactory>();
        var accounts = Enumerable.Range(0, Accounts).Select(_ => new AccountId(Guid.NewGuid())).ToList();
        foreach (var some in accounts.Chunk(100))
            await Task.WhenAll(some.Select(async id => Expect(await grains.GetGrain<IBankAccountGrain>(id.Value).Open(
                "Ada Lovelace", "USD", new(0, 2), new(DerivedId.Opening(id), Payload.CorrelationId)))));
        var head = await HeadAsync(cancellation);
        await UntilAsync(all => all.All(p => p.LagEvents == 0), cancellation);
        var before = await RowsAsync(head, cancellation);
        var generation = (await StatusAsync(cancellation)).Single(p => p.Name == Projection).Generation;

        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var commands = Offer.RunAsync(commandsPerSecond, CommandAsync, enough.Token);
        var reads = ReadAsync(accounts[0], enough.Token);
        _delays.Clear();
        var started = Stopwatch.GetTimestamp();
        await grains.GetGrain<IProjectionOperatorGrain>(Projection).RebuildAsync(new("the benchmark"));
        await UntilAsync(
            all => all.Single(p => p.Name == Projection) is { Progress: null } now && now.Generation > generation, cancellation);
        var elapsed = Stopwatch.GetElapsedTime(started);
        var delays = DelaysOf(Projection);
        var filled = await HeadAsync(cancellation);
        await enough.CancelAsync();
        var load = await commands;
        await reads;
        if (await RowsAsync(head, cancellation) != before)
            throw new InvalidOperationException("The tables were others before the rebuild.");
        return
        [
            new("rebuild of transactions under load", filled / elapsed.TotalSeconds, "events/s"),
            new("rebuild: commands meanwhile", load.PerSecond, "commands/s"),
            new("rebuild: commands meanwhile, p50", load.Milliseconds(0.5), "ms"),
            new("rebuild: commands meanwhile, p99", load.Milliseconds(0.99), "ms"),
            new("rebuild: lag of the old tables, p99", Share(delays, 0.99), "ms"),
        ];

        async Task CommandAsync(int number)
        {
            var id = accounts[number % Accounts];
            Expect(await grains.GetGrain<IBankAccountGrain>(id.Value).Deposit(
                new(Payload.Amount.MinorUnits, 2), Payload.Description,
                new(DerivedId.Command(id, BankInProcess.NewKey()), Payload.CorrelationId)));
        }
    }

    /// <summary>How long after its time an event is in the tables, at so many events a second.</summary>
    /// <param name="eventsPerSecond">
    /// Offered straight to the journal's writer, past the accounts: whatever they cost would be measured with it.
    /// </param>
    /// <param name="accounts">Of the made journal, how many.</param>
    /// <param name="rounds">Events that each of them had.</param>
    public Party Lag(int eventsPerSecond, int accounts, int rounds) => new("lag", async (time, cancellation) =>
    {
        var journal = _host.Services.GetRequiredService<PostgresJournal>();
        if (_made.IsEmpty)
            foreach (var stream in Enumerable.Range(1, accounts).Select(MadeJournal.StreamOf))
                _made.Enqueue((stream, MadeJournal.StateOf(stream, rounds)));
        _delays.Clear();
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        enough.CancelAfter(time);
        var load = await Offer.RunAsync(eventsPerSecond, AppendAsync, enough.Token);
        cancellation.ThrowIfCancellationRequested();
        await UntilAsync(all => all.All(p => p.LagEvents == 0), cancellation);
        return
        [
            new("lag: events offered", load.PerSecond, "events/s"),
            .. _delays.Keys.Order().SelectMany(projection => DelaysOf(projection) is var delays
                ? (Sample[])
                [
                    new($"lag of {projection}, p50", Share(delays, 0.5), "ms"), new($"lag of {projection}, p99", Share(delays, 0.99), "ms"),
                ]
                : []),
        ];

        // One append of an account at a time; where all are busy, another is opened.
        async Task AppendAsync(int number)
        {
            if (!_made.TryDequeue(out var account))
                account = (new AccountId(Guid.NewGuid()).StreamId, StreamState.Empty);
            var (type, data) = account.State.Version == 0 ? ("AccountOpened", MadeJournal.Opened) : ("MoneyDeposited", Payload.DataBytes);
            var outcome = await journal.AppendAsync(new(
                account.Stream, account.State, [new(Guid.CreateVersion7(), type, 1, data, Payload.MetadataBytes)], new()));
            _made.Enqueue(outcome is AppendOutcome.Appended appended
                ? (account.Stream, appended.Last)
                : throw new InvalidOperationException($"An append got {outcome}."));
        }
    });

    public async ValueTask DisposeAsync()
    {
        _meter.Dispose();
        await _database.DisposeAsync();
        await _host.StopAsync(new CancellationToken(canceled: true));
        await ((IAsyncDisposable)_host).DisposeAsync();
    }

    private async Task ReadAsync(AccountId account, CancellationToken stop)
    {
        var transactions = _host.Services.GetRequiredService<TransactionQuery>();
        while (!stop.IsCancellationRequested)
        {
            if ((await transactions.ListAsync(account, null, null, 100, null, default, CancellationToken.None)).Value is null)
                throw new InvalidOperationException("An account is not there.");
            await Task.Delay(10, CancellationToken.None);
        }
    }

    // Of those that run here: who has run here before stands still.
    private async Task<IReadOnlyList<ProjectionStatus>> StatusAsync(CancellationToken cancellation)
    {
        var here = _host.Services.GetRequiredService<ProjectionRuntime>().Projections.Select(p => p.Name).ToHashSet();
        return [.. (await new ProjectionStatusReader(_database).ReadAsync(cancellation)).Where(p => here.Contains(p.Name))];
    }

    private async Task UntilAsync(Func<IReadOnlyList<ProjectionStatus>, bool> reached, CancellationToken cancellation)
    {
        while (!reached(await StatusAsync(cancellation)))
            await Task.Delay(100, cancellation);
    }

    private async Task<long> HeadAsync(CancellationToken cancellation)
    {
        await using var command = _database.CreateCommand("SELECT position FROM journal.head");
        return (long)(await command.ExecuteScalarAsync(cancellation))!;
    }

    // All rows up to a position, whatever their order.
    private async Task<(long Rows, decimal Hash)> RowsAsync(long upTo, CancellationToken cancellation)
    {
        await using var command = _database.CreateCommand(
            "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) FROM readmodel.transactions t WHERE position <= $1");
        command.CommandTimeout = 0;
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = upTo });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        return (reader.GetInt64(0), reader.GetDecimal(1));
    }

    private List<double> DelaysOf(string projection) =>
        _delays.TryGetValue(projection, out var delays) && !delays.IsEmpty ? [.. delays.Order()] : [0];

    private static double Share(List<double> sorted, double share) => sorted[(int)(share * (sorted.Count - 1))] * 1_000;

    private static void Expect(CommandReply reply)
    {
        if (reply is not { Status: ReplyStatus.Done, Replayed: false })
            throw new InvalidOperationException($"A command got {reply}.");
    }
}
