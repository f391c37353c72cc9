using Bank.Contracts;
using Bank.Grains.TestHost;
using Bank.Host.Commands;
using Bank.Testing;
using Npgsql;
using Xunit;

namespace Bank.Grains.Tests.Transfers;

/// <summary>
/// Two clusters on one database that know nothing of each other, so each transfer can have two drivers. The first can be held at any point;
/// neither resumes anything by itself.
/// </summary>
public sealed class HeldSilos(PrivatePostgres postgres) : IAsyncLifetime
{
    private static readonly Dictionary<string, string?> NoWatchdog = new() { ["Bank:TransferOverdueAfter"] = "01:00:00" };

    private NpgsqlDataSource app = null!;

    public TestDatabase Database { get; private set; } = null!;

    public FaultPoints Points { get; } = new();

    public RunningSilo Held { get; private set; } = null!;

    public RunningSilo Free { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Database = await postgres.CreateDatabaseAsync();
        app = NpgsqlDataSource.Create(Database.App);
        Held = await RunningSilo.StartAsync(Database.App, "held", NoWatchdog, Points.Decorate);
        Free = await RunningSilo.StartAsync(Database.App, "free", NoWatchdog, _ => { });
    }

    public async ValueTask DisposeAsync()
    {
        await Held.DisposeAsync();
        await Free.DisposeAsync();
        await app.DisposeAsync();
    }

    /// <summary>The types of a transfer's events in all streams, in order.</summary>
    public async Task<string> StepsAsync(Guid transfer)
    {
        await using var command = app.CreateCommand(
            """
            SELECT coalesce(string_agg(event_type, ' ' ORDER BY position), '') FROM journal.events
            WHERE stream_id = 'transfer-' || $1 OR data ->> 'transfer_id' = $1
            """);
        command.Parameters.Add(new() { Value = transfer.ToString() });
        return (string)(await command.ExecuteScalarAsync(TestContext.Current.CancellationToken))!;
    }

    /// <summary>Asks the record, which must be in order after every test.</summary>
    public async Task CheckAsync() =>
        Assert.Empty((await Check.ReadAsync(Database.App, TestContext.Current.CancellationToken)).Violations);
}

/// <summary>What the tests of transfers do at their counters. Amounts are cents.</summary>
internal static class Counter
{
    public static async Task<Guid> OpenAsync(this IGrainFactory grains, long deposit, string currency = "USD", Guid? id = null)
    {
        var account = id ?? Guid.NewGuid();
        Done(await grains.GetGrain<IBankAccountGrain>(account).Open("Ada", currency, new(deposit, 2), New()));
        return account;
    }

    public static async Task DepositAsync(this IGrainFactory grains, Guid account, long amount) =>
        Done(await grains.GetGrain<IBankAccountGrain>(account).Deposit(new(amount, 2), "", New()));

    public static async Task WithdrawAsync(this IGrainFactory grains, Guid account, long amount) =>
        Done(await grains.GetGrain<IBankAccountGrain>(account).Withdraw(new(amount, 2), "", New()));

    public static async Task CloseAsync(this IGrainFactory grains, Guid account) =>
        Done(await grains.GetGrain<IBankAccountGrain>(account).Close("", New()));

    public static async Task<long> BalanceAsync(this IGrainFactory grains, Guid account) =>
        (await grains.GetGrain<IBankAccountGrain>(account).Read()).Account!.BalanceMinorUnits;

    public static Task<TransferReply> TransferAsync(this IGrainFactory grains, Guid transfer, Guid from, Guid to, long amount) =>
        grains.GetGrain<ITransferGrain>(transfer).Request(from, to, new(amount, 2), "", new(transfer));

    /// <summary>Asks again with the same key until the transfer has ended.</summary>
    public static Task<TransferReply> EndAsync(this IGrainFactory grains, Guid transfer, Guid from, Guid to, long amount) =>
        Eventually.UntilAsync(
            $"transfer {transfer} has ended",
            () => grains.TransferAsync(transfer, from, to, amount),
            reply => reply is { Status: ReplyStatus.Done, Transfer: not "running" },
            TimeSpan.FromSeconds(60));

    private static CommandContext New() => new(Guid.NewGuid());

    private static void Done(CommandReply reply) => Assert.Equal((ReplyStatus.Done, null), (reply.Status, reply.Code));
}
