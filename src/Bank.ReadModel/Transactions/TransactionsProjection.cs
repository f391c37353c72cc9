using System.Collections.Frozen;
using System.Diagnostics;
using Bank.Domain;
using Bank.Events;
using Bank.ReadModel.Accounts;
using Orleans.EventSourcing.Postgres;
using static Orleans.EventSourcing.Postgres.ProjectionBatch;

namespace Bank.ReadModel.Transactions;

/// <summary>One row per movement of an account's money, with the balance that it left. Rows never change.</summary>
public sealed class TransactionsProjection : Projection
{
    public const string ProjectionName = "transactions";

    public override string Name => ProjectionName;

    public override int FoldVersion => 1;

    public override IReadOnlySet<string> EventTypes { get; } = FrozenSet.Create(
        "AccountOpened", "MoneyDeposited", "MoneyWithdrawn", "TransferSent", "TransferReceived", "TransferReturned");

    public override IReadOnlyList<string> Tables => ["transactions"];

    // Time never falls along positions, so the one index gives an account's movements in order, from any time, page by page. The currency
    // stands in the opening only, which is the account's first row.
    public override string Create(ProjectionTables tables) =>
        $"""
        CREATE TABLE {tables["transactions"]} (
            account_id uuid NOT NULL,
            recorded_at timestamptz NOT NULL,
            position bigint NOT NULL,
            version bigint NOT NULL,
            event_id uuid NOT NULL,
            type text COLLATE "C" NOT NULL,
            amount bigint NOT NULL,
            balance_after bigint NOT NULL,
            currency text COLLATE "C",
            counterparty_account_id uuid,
            transfer_id uuid,
            description text NOT NULL,
            PRIMARY KEY (account_id, recorded_at, position)
        ) WITH (fillfactor = 100, autovacuum_vacuum_insert_scale_factor = 0.05);
        """;

    public override void Write(IReadOnlyList<RecordedEvent> events, ProjectionBatch batch)
    {
        var rows = events.Select(RowOf).ToList();
        batch.Add(
            $"""
            INSERT INTO {batch.Tables["transactions"]}
                (account_id, recorded_at, position, version, event_id, type, amount, balance_after, currency, counterparty_account_id,
                 transfer_id, description)
            SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            """,
            Column(rows, r => AccountsProjection.AccountIdOf(r.Event)),
            Column(rows, r => r.Event.RecordedAt),
            Column(rows, r => r.Event.Position.Value),
            Column(rows, r => r.Event.Version),
            Column(rows, r => r.Event.EventId),
            Column(rows, r => r.Type),
            Column(rows, r => r.Amount),
            Column(rows, r => r.BalanceAfter),
            Column(rows, r => r.Currency),
            Column(rows, r => r.Counterparty),
            Column(rows, r => r.TransferId),
            Column(rows, r => r.Description));
    }

    private static Row RowOf(RecordedEvent recorded) => StoredEvents.Decode(recorded) switch
    {
        AccountOpened e => new(recorded, "opening", e.InitialDeposit, e) { Currency = e.Currency.Code },
        MoneyDeposited e => new(recorded, "deposit", e.Amount, e) { Description = e.Description },
        MoneyWithdrawn e => new(recorded, "withdrawal", -e.Amount, e) { Description = e.Description },
        TransferSent e => new(recorded, "transfer_out", -e.Amount, e)
        {
            Counterparty = e.CounterpartyAccountId.Value, TransferId = e.TransferId.Value, Description = e.Description,
        },
        TransferReceived e => new(recorded, "transfer_in", e.Amount, e)
        {
            Counterparty = e.CounterpartyAccountId.Value, TransferId = e.TransferId.Value, Description = e.Description,
        },
        TransferReturned e => new(recorded, "transfer_returned", e.Amount, e)
        {
            Counterparty = e.CounterpartyAccountId.Value, TransferId = e.TransferId.Value, Description = e.Description,
        },
        var e => throw new UnreachableException($"{e} moves no money"),
    };

    private readonly record struct Row(RecordedEvent Event, string Type, long Amount, long BalanceAfter)
    {
        public Row(RecordedEvent recorded, string type, Money amount, MoneyMoved moved)
            : this(recorded, type, amount.MinorUnits, moved.BalanceAfter.MinorUnits)
        {
        }

        public string? Currency { get; init; }

        public Guid? Counterparty { get; init; }

        public Guid? TransferId { get; init; }

        public string Description { get; init; } = "";
    }
}
