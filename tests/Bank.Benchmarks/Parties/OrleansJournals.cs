using System.Net;
using Bank.Benchmarks.Measuring;
using Bank.Host;
using Bank.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Orleans.Concurrency;
using Orleans.Configuration;
using Orleans.EventSourcing;
using Orleans.Providers;

namespace Bank.Benchmarks.Parties;

/// <summary>
/// The same deposits through the log-consistency providers that Orleans brings, its grain storage in PostgreSQL through ADO.NET:
/// StateStorage, which keeps the state and forgets the events, and LogStorage, which writes the whole history each time.
/// </summary>
internal sealed class OrleansJournals : IAsyncDisposable
{
    public const string Store = "peers";
    public const string StateStorage = "StateStorage";
    public const string LogStorage = "LogStorage";

    private readonly IHost _host;
    private readonly IPeerAccountGrain[] _stateStored;
    private readonly IPeerAccountGrain[] _logStored;

    private OrleansJournals(IHost host, int accounts)
    {
        _host = host;
        var grains = host.Services.GetRequiredService<IGrainFactory>();
        _stateStored = [.. Enumerable.Range(0, accounts).Select(_ => grains.GetGrain<IStateStoredAccountGrain>(Guid.NewGuid()))];
        _logStored = [.. Enumerable.Range(0, accounts).Select(_ => grains.GetGrain<ILogStoredAccountGrain>(Guid.NewGuid()))];
    }

    /// <summary>A silo with both; every account has so many events.</summary>
    public static async Task<OrleansJournals> StartAsync(
        UnshakenPostgres postgres, Comparison comparison, int events, CancellationToken cancellation)
    {
        comparison.Say($"starting a silo of Orleans' own journals, {events} events for each account");
        var database = await postgres.CreateDatabaseAsync();
        var builder = Microsoft.Extensions.Hosting.Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.UseOrleans(silo => silo
            .UseLocalhostClustering(Ports.PreferredOrFree(0), Ports.PreferredOrFree(0), serviceId: Store, clusterId: Store)
            .Configure<EndpointOptions>(options => options.AdvertisedIPAddress = IPAddress.Loopback)
            .AddStateStorageBasedLogConsistencyProvider(StateStorage)
            .AddLogStorageBasedLogConsistencyProvider(LogStorage)
            .AddAdoNetGrainStorage(Store, options =>
            {
                options.Invariant = "Npgsql";
                options.ConnectionString = new NpgsqlConnectionStringBuilder(database.App) { SearchPath = "orleans" }.ConnectionString;
            }));
        var host = builder.Build();
        try
        {
            await host.StartAsync(cancellation);
            var journals = new OrleansJournals(host, comparison.Pace.Accounts);
            foreach (var some in journals._stateStored.Concat(journals._logStored).Chunk(200))
                await Task.WhenAll(some.Select(account => account.Begin(events)));
            return journals;
        }
        catch
        {
            await ((IAsyncDisposable)host).DisposeAsync();
            throw;
        }
    }

    public LoadParty StateStored(int callers) => DepositsTo(StateStorage, callers, _stateStored);

    public LoadParty LogStored(int callers) => DepositsTo(LogStorage, callers, _logStored);

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync(new CancellationToken(canceled: true));
        await ((IAsyncDisposable)_host).DisposeAsync();
    }

    private static LoadParty DepositsTo(string name, int callers, IPeerAccountGrain[] accounts) => new(
        $"{name}, {callers} in flight", "commands/s", (time, cancellation) => Load.RunAsync(
            callers, time, _ => accounts[Random.Shared.Next(accounts.Length)].Deposit(Payload.Amount.MinorUnits, Payload.Description),
            cancellation));
}

/// <summary>An account of Orleans' own journals.</summary>
[Alias("bench.IPeerAccountGrain")]
public interface IPeerAccountGrain : IGrainWithGuidKey
{
    /// <summary>So many deposits at once.</summary>
    [Alias("Begin")]
    Task Begin(int events);

    [Alias("Deposit")]
    Task<long> Deposit(long minorUnits, string description);
}

/// <inheritdoc/>
[Alias("bench.IStateStoredAccountGrain")]
public interface IStateStoredAccountGrain : IPeerAccountGrain;

/// <inheritdoc/>
[Alias("bench.ILogStoredAccountGrain")]
public interface ILogStoredAccountGrain : IPeerAccountGrain;

/// <summary>What a deposit leaves: as much as in the journal, its metadata included.</summary>
[GenerateSerializer, Alias("bench.PeerDeposited")]
public sealed record PeerDeposited(
    [property: Id(0)] Guid CommandId, [property: Id(1)] long MinorUnits, [property: Id(2)] string Description,
    [property: Id(3)] long BalanceAfter, [property: Id(4)] string CorrelationId, [property: Id(5)] DateTimeOffset RecordedAt);

/// <summary>The state.</summary>
[GenerateSerializer, Alias("bench.PeerAccount")]
public sealed class PeerAccount
{
    [Id(0)]
    public long MinorUnits { get; set; } = BankInProcess.InitialDeposit;

    public void Apply(PeerDeposited deposited) => MinorUnits = deposited.BalanceAfter;
}

/// <inheritdoc/>
public abstract class PeerAccountGrain : JournaledGrain<PeerAccount, PeerDeposited>, IPeerAccountGrain
{
    public Task Begin(int events)
    {
        RaiseEvents(Enumerable.Range(1, events).Select(n => Deposited(n, 1, Payload.Description)));
        return ConfirmEvents();
    }

    public async Task<long> Deposit(long minorUnits, string description)
    {
        var deposited = Deposited(1, minorUnits, description);
        RaiseEvent(deposited);
        await ConfirmEvents();
        return deposited.BalanceAfter;
    }

    private PeerDeposited Deposited(int times, long minorUnits, string description) => new(
        Guid.NewGuid(), minorUnits, description, TentativeState.MinorUnits + times * minorUnits, Payload.CorrelationId,
        TimeProvider.System.GetUtcNow());
}

/// <inheritdoc/>
[Reentrant, LogConsistencyProvider(ProviderName = OrleansJournals.StateStorage), StorageProvider(ProviderName = OrleansJournals.Store)]
public sealed class StateStoredAccountGrain : PeerAccountGrain, IStateStoredAccountGrain;

/// <inheritdoc/>
[Reentrant, LogConsistencyProvider(ProviderName = OrleansJournals.LogStorage), StorageProvider(ProviderName = OrleansJournals.Store)]
public sealed class LogStoredAccountGrain : PeerAccountGrain, ILogStoredAccountGrain;
