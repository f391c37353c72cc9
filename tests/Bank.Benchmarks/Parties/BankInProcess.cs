using Bank.Benchmarks.Measuring;
using Bank.Contracts;
using Bank.Domain;
using Bank.Grains;
using Bank.Host;
using Bank.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Configuration;

namespace Bank.Benchmarks.Parties;

/// <summary>
/// A silo in this process, with accounts that are open. The callers are in the same process and call through the silo's own
/// client: a call crosses no socket, and is not in the way of what is measured.
/// </summary>
internal sealed class BankInProcess : IAsyncDisposable
{
    /// <summary>What every account begins with, in cents: enough to pay for everybody.</summary>
    public const long InitialDeposit = 1_000_000_000_000;

    private readonly string _name;
    private readonly IHost _host;
    private readonly GrainReferences<ITransferGrain> _transfers;
    private readonly BankAccount[] _accounts;

    private BankInProcess(string name, IHost host, TestDatabase database, int accounts)
    {
        _name = name;
        _host = host;
        Database = database;
        _transfers = host.Services.GetRequiredService<GrainReferences<ITransferGrain>>();
        var grains = host.Services.GetRequiredService<GrainReferences<IBankAccountGrain>>();
        _accounts = [.. Enumerable.Range(0, accounts).Select(_ => new AccountId(Guid.NewGuid()))
            .Select(id => new BankAccount(id, grains.Of(id.Value)))];
    }

    public TestDatabase Database { get; }

    public IServiceProvider Services => _host.Services;

    public IReadOnlyList<BankAccount> Accounts => _accounts;

    /// <summary>The whole product: with the read models' projections, call filters, dashboard and watchdog beside the grains.</summary>
    /// <param name="postgres">Gets a database for it.</param>
    /// <param name="comparison">What it is for.</param>
    /// <param name="cancellation">Ends the start.</param>
    /// <param name="accounts">How many it opens; the pace's number by default.</param>
    public static Task<BankInProcess> StartWholeAsync(
        UnshakenPostgres postgres, Comparison comparison, CancellationToken cancellation, int? accounts = null) => StartAsync(
            "product", postgres, comparison, accounts, (builder, database) =>
            {
                builder.AddBankSilo(database.App, Ports.PreferredOrFree(0), Ports.PreferredOrFree(0));
                builder.Services.Configure<GrainTypeOptions>(options => options.Classes.Remove(typeof(CountingGrain)));
            },
            cancellation);

    /// <summary>The grains on the journal, and nothing else that the product runs in a silo.</summary>
    public static Task<BankInProcess> StartAloneAsync(
        UnshakenPostgres postgres, Comparison comparison, CancellationToken cancellation) => StartAsync(
            "grains", postgres, comparison, null, (builder, database) =>
            {
                var bank = new BankOptions();
                builder.Services.AddSingleton(TimeProvider.System).AddSingleton(bank).AddSingleton<BankMetrics>()
                    .AddSingleton(typeof(GrainReferences<>));
                builder.UseOrleans(silo => silo
                    .UseLocalhostClustering(Ports.PreferredOrFree(0), Ports.PreferredOrFree(0))
                    .AddPostgresJournal(options =>
                    {
                        options.ConnectionString = database.App;
                        options.AddBank(bank);
                    }));
            },
            cancellation);

    private static async Task<BankInProcess> StartAsync(
        string name, UnshakenPostgres postgres, Comparison comparison, int? accounts,
        Action<HostApplicationBuilder, TestDatabase> compose, CancellationToken cancellation)
    {
        comparison.Say("starting a silo and opening accounts");
        var builder = Microsoft.Extensions.Hosting.Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        var database = await postgres.CreateDatabaseAsync();
        // Accounts are loaded many at a time, and two silos share the server with whom they are compared.
        compose(builder, database with { App = database.App + ";Maximum Pool Size=40" });
        var host = builder.Build();
        try
        {
            await host.StartAsync(cancellation);
            var bank = new BankInProcess(name, host, database, accounts ?? comparison.Pace.Accounts);
            foreach (var some in bank._accounts.Chunk(500))
            {
                cancellation.ThrowIfCancellationRequested();
                Expect(await Task.WhenAll(some.Select(account => account.Grain.Open(
                    "Ada Lovelace", "USD", new(InitialDeposit, 2), new(DerivedId.Opening(account.Id), Payload.CorrelationId)))));
            }

            return bank;
        }
        catch
        {
            await EndAsync(host);
            throw;
        }
    }

    /// <summary>Deposits to any of the accounts.</summary>
    public LoadParty InFlight(int callers) =>
        DepositsTo($"{_name}, {callers} in flight", callers, _ => _accounts[Random.Shared.Next(_accounts.Length)]);

    /// <summary>Deposits to one account.</summary>
    public LoadParty Hot(int callers) => DepositsTo($"hot {_name}, {callers} in flight", callers, _ => _accounts[0]);

    /// <summary>Transfers; each counts when its money has arrived durably.</summary>
    public LoadParty Transfers(int callers, Spread spread)
    {
        return new(
            $"{_name}, {callers} in flight, {spread}", "transfers/s",
            (time, cancellation) => Load.RunAsync(callers, time, TransferAsync, cancellation));

        async Task TransferAsync(int caller)
        {
            var (payer, payee) = spread.Next();
            var (from, to) = (_accounts[payer].Id, _accounts[payee].Id);
            var transfer = DerivedId.Transfer(from, NewKey());
            var reply = await _transfers.Of(transfer.Value).Request(
                from.Value, to.Value, new(100, 2), Payload.Description, new(transfer.Value, Payload.CorrelationId));
            if (reply is not { Status: ReplyStatus.Done, Code: null, Transfer: "completed", Replayed: false })
                throw new InvalidOperationException($"A transfer got {reply}.");
        }
    }

    /// <summary>So many deposits, one after the other by each of 500 callers.</summary>
    /// <param name="deposits">How many in all.</param>
    /// <param name="account">Whose the nth one is.</param>
    /// <param name="key">Under which the nth one is made.</param>
    public static Task DepositAsync(int deposits, Func<int, BankAccount> account, Func<int, string> key)
    {
        var next = -1;
        return Task.WhenAll(Enumerable.Range(0, 500).Select(async _ =>
        {
            while (Interlocked.Increment(ref next) is var n && n < deposits)
                Expect(await account(n).DepositAsync(key(n)));
        }));
    }

    private static LoadParty DepositsTo(string name, int callers, Func<int, BankAccount> account)
    {
        return new(name, "commands/s", (time, cancellation) => Load.RunAsync(callers, time, DepositAsync, cancellation));

        async Task DepositAsync(int caller) => Expect(await account(caller).DepositAsync(NewKey()));
    }

    /// <summary>A key as gateways make them up.</summary>
    public static string NewKey() => Guid.CreateVersion7().ToString();

    public static void Expect(params ReadOnlySpan<CommandReply> replies)
    {
        foreach (var reply in replies)
            if (reply is not { Status: ReplyStatus.Done, Replayed: false })
                throw new InvalidOperationException($"A command got {reply}.");
    }

    public ValueTask DisposeAsync() => EndAsync(_host);

    private static async ValueTask EndAsync(IHost host)
    {
        // Not every account has to leave memory in order: the database goes with it.
        await host.StopAsync(new CancellationToken(canceled: true));
        await ((IAsyncDisposable)host).DisposeAsync();
    }
}

/// <summary>An open account.</summary>
internal sealed record BankAccount(AccountId Id, IBankAccountGrain Grain)
{
    /// <summary>The deposit that every load makes; its id is derived from the key as the gateway does it.</summary>
    public Task<CommandReply> DepositAsync(string key) => Grain.Deposit(
        new(Payload.Amount.MinorUnits, Payload.Amount.Digits),
        Payload.Description,
        new(DerivedId.Command(Id, key), Payload.CorrelationId));
}
