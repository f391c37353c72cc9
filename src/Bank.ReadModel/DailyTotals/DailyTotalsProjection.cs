using System.Collections.Frozen;
using System.Diagnostics;
using Bank.Domain;
using Bank.Events;
using Orleans.EventSourcing.Postgres;
using static Orleans.EventSourcing.Postgres.ProjectionBatch;

namespace Bank.ReadModel.DailyTotals;

/// <summary>
/// How much money came, went and was transferred, by day (UTC) and currency. Each partition keeps rows of its own, which a query adds up,
/// so that no two write the same row.
/// </summary>
public sealed class DailyTotalsProjection : Projection
{
    public const string ProjectionName = "daily_totals";

    public override string Name => ProjectionName;

    public override int FoldVersion => 1;

    /// <summary>An opening counts as a deposit, a transfer when it is received; what comes back was none.</summary>
    public override IReadOnlySet<string> EventTypes { get; } = FrozenSet.Create(
        "AccountOpened", "MoneyDeposited", "MoneyWithdrawn", "TransferReceived");

    public override IReadOnlyList<string> Tables => ["daily_totals"];

    // Amounts are in the currency's smallest unit; their sums may be beyond a bigint.
    public override string Create(ProjectionTables tables) =>
        $"""
        CREATE TABLE {tables["daily_totals"]} (
            date date NOT NULL,
            currency text COLLATE "C" NOT NULL,
            partition integer NOT NULL,
            deposits bigint NOT NULL,
            deposits_amount numeric NOT NULL,
            withdrawals bigint NOT NULL,
            withdrawals_amount numeric NOT NULL,
            transfers bigint NOT NULL,
            transfers_amount numeric NOT NULL,
            PRIMARY KEY (date, currency, partition)
        ) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
        """;

    public override void Write(IReadOnlyList<RecordedEvent> events, ProjectionBatch batch)
    {
        var rows = events
            .Select(e => (Event: e, Row: RowOf(e)))
            .GroupBy(e => (e.Event.StreamId, Date: DateOnly.FromDateTime(e.Event.RecordedAt.UtcDateTime)), e => e.Row)
            .Select(g => (g.Key.StreamId, g.Key.Date, Sum: g.Aggregate((a, b) => a + b)))
            .ToList();
        // The currency of an account stands in its first event, and nowhere in those that follow.
        batch.Add(
            $"""
            INSERT INTO {batch.Tables["daily_totals"]} AS t
                (date, currency, partition, deposits, deposits_amount, withdrawals, withdrawals_amount, transfers, transfers_amount)
            SELECT u.date, opened.data ->> 'currency', $9, sum(u.deposits), sum(u.deposits_amount), sum(u.withdrawals),
                   sum(u.withdrawals_amount), sum(u.transfers), sum(u.transfers_amount)
            FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)
                u (stream_id, date, deposits, deposits_amount, withdrawals, withdrawals_amount, transfers, transfers_amount)
            LEFT JOIN journal.events opened ON opened.stream_id = u.stream_id AND opened.version = 1
            GROUP BY 1, 2
            ON CONFLICT (date, currency, partition) DO UPDATE
            SET deposits = t.deposits + excluded.deposits, deposits_amount = t.deposits_amount + excluded.deposits_amount,
                withdrawals = t.withdrawals + excluded.withdrawals, withdrawals_amount = t.withdrawals_amount + excluded.withdrawals_amount,
                transfers = t.transfers + excluded.transfers, transfers_amount = t.transfers_amount + excluded.transfers_amount
            """,
            Column(rows, r => r.StreamId),
            Column(rows, r => r.Date),
            Column(rows, r => r.Sum.Deposits.Count),
            Column(rows, r => r.Sum.Deposits.Amount),
            Column(rows, r => r.Sum.Withdrawals.Count),
            Column(rows, r => r.Sum.Withdrawals.Amount),
            Column(rows, r => r.Sum.Transfers.Count),
            Column(rows, r => r.Sum.Transfers.Amount),
            Value(batch.Partition.Number));
    }

    private static Row RowOf(RecordedEvent recorded) => StoredEvents.Decode(recorded) switch
    {
        AccountOpened e => default(Row) with { Deposits = Total.Of(e.InitialDeposit) },
        MoneyDeposited e => default(Row) with { Deposits = Total.Of(e.Amount) },
        MoneyWithdrawn e => default(Row) with { Withdrawals = Total.Of(e.Amount) },
        TransferReceived e => default(Row) with { Transfers = Total.Of(e.Amount) },
        var e => throw new UnreachableException($"{e} is no part of a total"),
    };

    private readonly record struct Total(long Count, decimal Amount)
    {
        public static Total Of(Money amount) => new(1, amount.MinorUnits);

        public static Total operator +(Total a, Total b) => new(a.Count + b.Count, a.Amount + b.Amount);
    }

    private readonly record struct Row(Total Deposits, Total Withdrawals, Total Transfers)
    {
        public static Row operator +(Row a, Row b) =>
            new(a.Deposits + b.Deposits, a.Withdrawals + b.Withdrawals, a.Transfers + b.Transfers);
    }
}
