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
using Orleans.Transactions;
using Orleans.Transactions.Abstractions;

namespace Bank.Benchmarks.Parties;

/// <summary>Transfers as Orleans' own distributed transactions, the state of both accounts in PostgreSQL through ADO.NET.</summary>
internal sealed class OrleansTransactions : IAsyncDisposable
{
    public const string Store = "transactions";

    private readonly IHost _host;
    private readonly IGrainFactory _grains;
    private readonly Guid[] _accounts;
    private long _aborted;

    private OrleansTransactions(IHost host, int accounts)
    {
        _host = host;
        _grains = host.Services.GetRequiredService<IGrainFactory>();
        _accounts = [.. Enumerable.Range(0, accounts).Select(_ => Guid.NewGuid())];
    }

    /// <summary>Transactions that were aborted and tried again.</summary>
    public long Aborted => Interlocked.Read(ref _aborted);

    public static async Task<OrleansTransactions> StartAsync(UnshakenPostgres postgres, Pace pace, CancellationToken cancellation)
    {
        var database = await postgres.CreateDatabaseAsync();
        var builder = Microsoft.Extensions.Hosting.Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.UseOrleans(silo => silo
            .UseLocalhostClustering(Ports.PreferredOrFree(0), Ports.PreferredOrFree(0), serviceId: Store, clusterId: Store)
            .Configure<EndpointOptions>(options => options.AdvertisedIPAddress = IPAddress.Loopback)
            .AddAdoNetGrainStorage(Store, options =>
            {
                options.Invariant = "Npgsql";
                options.ConnectionString = new NpgsqlConnectionStringBuilder(database.App) { SearchPath = "orleans" }.ConnectionString;
            })
            .UseTransactions());
        var host = builder.Build();
        try
        {
            await host.StartAsync(cancellation);
            return new(host, pace.Accounts);
        }
        catch
        {
            await ((IAsyncDisposable)host).DisposeAsync();
            throw;
        }
    }

    public LoadParty Transfers(int callers, Spread spread) => new(
        $"Orleans Transactions, {spread}", "transfers/s",
        (time, cancellation) => Load.RunAsync(callers, time, _ => TransferAsync(spread, cancellation), cancellation));

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync(new CancellationToken(canceled: true));
        await ((IAsyncDisposable)_host).DisposeAsync();
    }

    // Only a transfer that is through counts: what was aborted is tried again, as a caller would.
    private async Task TransferAsync(Spread spread, CancellationToken cancellation)
    {
        var (from, to) = spread.Next();
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                await _grains.GetGrain<ITransactionalTellerGrain>(0).Transfer(_accounts[from], _accounts[to], 100);
                return;
            }
            catch (OrleansTransactionException)
            {
                Interlocked.Increment(ref _aborted);
            }
        }
    }
}

/// <summary>Begins the transactions.</summary>
[Alias("bench.ITransactionalTellerGrain")]
public interface ITransactionalTellerGrain : IGrainWithIntegerKey
{
    [Transaction(TransactionOption.Create), Alias("Transfer")]
    Task Transfer(Guid from, Guid to, long amount);
}

/// <summary>An account under transactions.</summary>
[Alias("bench.ITransactionalAccountGrain")]
public interface ITransactionalAccountGrain : IGrainWithGuidKey
{
    [Transaction(TransactionOption.Join), Alias("Change")]
    Task Change(long amount);
}

/// <summary>Its state.</summary>
[GenerateSerializer, Alias("bench.TransactionalBalance")]
public sealed class TransactionalBalance
{
    [Id(0)]
    public long MinorUnits { get; set; } = BankInProcess.InitialDeposit;
}

/// <inheritdoc/>
[StatelessWorker, Reentrant]
public sealed class TransactionalTellerGrain : Grain, ITransactionalTellerGrain
{
    public Task Transfer(Guid from, Guid to, long amount) => Task.WhenAll(
        GrainFactory.GetGrain<ITransactionalAccountGrain>(from).Change(-amount),
        GrainFactory.GetGrain<ITransactionalAccountGrain>(to).Change(amount));
}

/// <inheritdoc/>
[Reentrant]
public sealed class TransactionalAccountGrain(
    [TransactionalState("balance", OrleansTransactions.Store)] ITransactionalState<TransactionalBalance> balance)
    : Grain, ITransactionalAccountGrain
{
    public Task Change(long amount) => balance.PerformUpdate(state => state.MinorUnits = state.MinorUnits + amount >= 0
        ? state.MinorUnits + amount
        : throw new InvalidOperationException("An account ran dry."));
}
