using System.Text.Json;
using Bank.Domain;
using Bank.Events;
using Orleans.EventSourcing.Postgres;

namespace Bank.ReadModel.Tests;

/// <summary>
/// A client of the journal that lives a bank's life by chance: opens accounts, moves money, transfers it and closes accounts, by the rules
/// of the domain. Accounts of two writers have nothing to do with each other.
/// </summary>
internal sealed class BankWriter(IJournal journal, int seed, int accounts = 20)
{
    private static readonly string[] Owners = ["Ada", "Grace", "Edsger", "Barbara"];
    private static readonly string[] Currencies = ["USD", "USD", "USD", "JPY", "BHD"];

    private readonly Random random = new(seed);
    private readonly List<(AccountId Id, AccountState State, StreamState Stream)> opened = [];
    private readonly Epoch epoch = new();

    /// <summary>The accounts that were opened.</summary>
    public IReadOnlyList<AccountId> Accounts => [.. opened.Select(a => a.Id)];

    /// <summary>The transfers that were requested.</summary>
    public List<TransferId> Transfers { get; } = [];

    /// <summary>The position of the last of them.</summary>
    public Position Last { get; private set; }

    /// <summary>One thing that a client does, and its events.</summary>
    public async Task ActAsync()
    {
        if (opened.Count < 2 || (opened.Count < accounts && random.Next(4) == 0))
        {
            await OpenAsync();
            return;
        }

        var n = random.Next(opened.Count);
        switch (random.Next(20))
        {
            case < 9:
                await OnAccountAsync(n, new Deposit(Some(n), "pay"), NewId());
                break;
            case < 13:
                await OnAccountAsync(n, new Withdraw(Some(n), "cash \"and\" carry"), NewId());
                break;
            case < 19:
                await TransferAsync(n, random.Next(opened.Count));
                break;
            default:
                var (_, state, _) = opened[n];
                if (state.Balance.MinorUnits > 0)
                    await OnAccountAsync(n, new Withdraw(state.Balance, "all"), NewId());
                await OnAccountAsync(n, new CloseAccount("enough"), NewId());
                break;
        }
    }

    /// <summary>Opens an account.</summary>
    public async Task<AccountId> OpenAsync(string? owner = null, string? currency = null, long? deposit = null)
    {
        var code = Currency.Parse(currency ?? Currencies[random.Next(Currencies.Length)]);
        opened.Add((new(NewId()), Account.Initial(), StreamState.Empty));
        await OnAccountAsync(
            opened.Count - 1,
            new OpenAccount(owner ?? Owners[random.Next(Owners.Length)], null, code, new(deposit ?? random.Next(3) * 1_000, code.Digits)),
            NewId());
        return opened[^1].Id;
    }

    /// <summary>Puts money into an account that this writer has opened.</summary>
    public Task DepositAsync(AccountId account, long minorUnits)
    {
        var n = opened.FindIndex(a => a.Id == account);
        return OnAccountAsync(n, new Deposit(new(minorUnits, opened[n].State.Currency.Digits), ""), NewId());
    }

    /// <summary>Transfers money as the saga does, step by step.</summary>
    public async Task<TransferId?> TransferAsync(int from, int to)
    {
        var source = opened[from];
        if (from == to)
            return null;
        var id = new TransferId(NewId());
        var stream = StreamState.Empty;
        var state = Transfer.Evolve(
            null,
            new TransferRequested(source.Id, opened[to].Id, Some(from), source.State.Currency, "rent"));
        stream = await AppendAsync(id.StreamId, stream, state.Request, id.Value);
        Transfers.Add(id);
        while (Transfer.Next(id, state) is { } next)
        {
            ITransferStep? step;
            switch (next)
            {
                case TransferAction.Send { Command: var send }:
                    var asked = Account.RefusalToReceive(opened[to].State, send.Amount, send.Currency);
                    step = (ITransferStep?)await OnAccountAsync(
                        from, send with { DestinationRefusal = asked }, DerivedId.Step(id, next.Step));
                    break;
                case TransferAction.Receive { Command: var receive }:
                    // One that another currency reaches is declined after the money has left.
                    var command = random.Next(6) == 0 ? receive with { Currency = Currency.Parse("CHF") } : receive;
                    step = (ITransferStep?)await OnAccountAsync(to, command, DerivedId.Step(id, next.Step));
                    break;
                case TransferAction.Return { Command: var back }:
                    step = (ITransferStep?)await OnAccountAsync(from, back, DerivedId.Step(id, next.Step));
                    break;
                case TransferAction.Record { Event: var recorded }:
                    // Some never hear the end of it.
                    if (random.Next(10) == 0)
                        return id;
                    stream = await AppendAsync(id.StreamId, stream, recorded, DerivedId.Step(id, next.Step));
                    step = recorded;
                    break;
                default:
                    throw new InvalidOperationException($"{next} is unknown here");
            }

            state = Transfer.Evolve(state, step!);
        }

        return id;
    }

    private Money Some(int n) => new(random.Next(1, 1_000), opened[n].State.Currency.Digits);

    private Guid NewId()
    {
        Span<byte> bytes = stackalloc byte[16];
        random.NextBytes(bytes);
        return Uuid.V5(new Guid(bytes), "a test's");
    }

    // Returns the event, or null where the domain refuses.
    private async Task<AccountEvent?> OnAccountAsync(int n, AccountCommand command, Guid id)
    {
        var (account, state, stream) = opened[n];
        if (Account.Decide(state, command, id) is not Decision<AccountEvent, Refusal>.Accepted { Events: [var happened] })
            return null;
        stream = await AppendAsync(account.StreamId, stream, happened, id);
        opened[n] = (account, Account.Evolve(state, happened, id), stream);
        return happened;
    }

    private async Task<StreamState> AppendAsync(string streamId, StreamState stream, object happened, Guid id)
    {
        var stored = StoredEvents.Table.Single(s => s.Json.Type == happened.GetType());
        var append = new Append(
            streamId,
            stream,
            [new(id, stored.Name, stored.SchemaVersion, JsonSerializer.SerializeToUtf8Bytes(happened, stored.Json),
                EventMetadata.Write(1, 1, id, [1], null))],
            epoch);
        var outcome = await journal.AppendAsync(append);
        if (outcome is not AppendOutcome.Appended appended)
            throw new InvalidOperationException($"{stored.Name} for {streamId}: {outcome}");
        Last = appended.LastPosition;
        return append.After;
    }
}
