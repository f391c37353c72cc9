using System.Collections.Frozen;
using System.Diagnostics;
using Bank.Domain;
using Bank.Events;
using Orleans.EventSourcing.Postgres;
using static Orleans.EventSourcing.Postgres.ProjectionBatch;

namespace Bank.ReadModel.Transfers;

/// <summary>
/// One row per transfer with its steps. They lie in up to three partitions, which may be at different positions: each writes the columns of
/// its own steps and leaves the others', and the status is derived by the row itself from whatever steps it has.
/// </summary>
public sealed class TransfersProjection : Projection
{
    public const string ProjectionName = "transfers";

    public override string Name => ProjectionName;

    public override int FoldVersion => 1;

    public override IReadOnlySet<string> EventTypes { get; } = FrozenSet.Create(
        "TransferRequested", "TransferSent", "TransferDeclined", "TransferReceived", "TransferReturned", "TransferRejected",
        "ReturnDecided", "TransferCompleted", "TransferFailed");

    public override IReadOnlyList<string> Tables => ["transfers"];

    // Lists are in order of the requests. One without a status reads all statuses' parts of an index side by side, so that a list with one
    // has an index, too. What was never seen requested is in no list.
    public override string Create(ProjectionTables tables) =>
        $"""
        CREATE TABLE {tables["transfers"]} (
            transfer_id uuid NOT NULL,
            from_account_id uuid,
            to_account_id uuid,
            amount bigint,
            currency text COLLATE "C",
            description text,
            reason text,
            requested_id uuid, requested_position bigint, requested_at timestamptz,
            source text COLLATE "C", source_id uuid, source_position bigint, source_at timestamptz,
            destination text COLLATE "C", destination_id uuid, destination_position bigint, destination_at timestamptz,
            return text COLLATE "C", return_id uuid, return_position bigint, return_at timestamptz,
            outcome text COLLATE "C", outcome_id uuid, outcome_position bigint, outcome_at timestamptz,
            "end" text COLLATE "C", end_id uuid, end_position bigint, end_at timestamptz,
            status text COLLATE "C" NOT NULL GENERATED ALWAYS AS (CASE
                WHEN destination = 'TransferReceived' OR outcome = 'TransferCompleted' THEN 'completed'
                WHEN outcome = 'TransferRejected' THEN 'rejected'
                WHEN "end" = 'TransferFailed' THEN 'failed'
                ELSE 'running' END) STORED,
            PRIMARY KEY (transfer_id)
        ) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);
        CREATE INDEX {tables.Index("transfers_status")} ON {tables["transfers"]} (status, requested_position)
            WHERE requested_position IS NOT NULL;
        CREATE INDEX {tables.Index("transfers_from")} ON {tables["transfers"]} (from_account_id, status, requested_position)
            WHERE requested_position IS NOT NULL;
        CREATE INDEX {tables.Index("transfers_to")} ON {tables["transfers"]} (to_account_id, status, requested_position)
            WHERE requested_position IS NOT NULL;
        """;

    public override void Write(IReadOnlyList<RecordedEvent> events, ProjectionBatch batch)
    {
        var found = new Dictionary<Guid, Row>();
        foreach (var recorded in events)
        {
            var (id, row) = StepOf(recorded);
            found[id] = found.TryGetValue(id, out var before) ? before.With(row) : row;
        }

        // All partitions lock rows in this order, so no two wait for each other.
        var rows = found.OrderBy(r => r.Key).ToList();
        batch.Add(
            $"""
            INSERT INTO {batch.Tables["transfers"]} AS t (
                transfer_id, from_account_id, to_account_id, amount, currency, description, reason,
                requested_id, requested_position, requested_at,
                source, source_id, source_position, source_at,
                destination, destination_id, destination_position, destination_at,
                return, return_id, return_position, return_at,
                outcome, outcome_id, outcome_position, outcome_at,
                "end", end_id, end_position, end_at)
            SELECT u.* FROM unnest(
                $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26,
                $27, $28, $29, $30) u
            ON CONFLICT (transfer_id) DO UPDATE SET
                from_account_id = coalesce(excluded.from_account_id, t.from_account_id),
                to_account_id = coalesce(excluded.to_account_id, t.to_account_id),
                amount = coalesce(excluded.amount, t.amount),
                currency = coalesce(excluded.currency, t.currency),
                description = coalesce(excluded.description, t.description),
                reason = coalesce(excluded.reason, t.reason),
                requested_id = coalesce(excluded.requested_id, t.requested_id),
                requested_position = coalesce(excluded.requested_position, t.requested_position),
                requested_at = coalesce(excluded.requested_at, t.requested_at),
                source = coalesce(excluded.source, t.source),
                source_id = coalesce(excluded.source_id, t.source_id),
                source_position = coalesce(excluded.source_position, t.source_position),
                source_at = coalesce(excluded.source_at, t.source_at),
                destination = coalesce(excluded.destination, t.destination),
                destination_id = coalesce(excluded.destination_id, t.destination_id),
                destination_position = coalesce(excluded.destination_position, t.destination_position),
                destination_at = coalesce(excluded.destination_at, t.destination_at),
                return = coalesce(excluded.return, t.return),
                return_id = coalesce(excluded.return_id, t.return_id),
                return_position = coalesce(excluded.return_position, t.return_position),
                return_at = coalesce(excluded.return_at, t.return_at),
                outcome = coalesce(excluded.outcome, t.outcome),
                outcome_id = coalesce(excluded.outcome_id, t.outcome_id),
                outcome_position = coalesce(excluded.outcome_position, t.outcome_position),
                outcome_at = coalesce(excluded.outcome_at, t.outcome_at),
                "end" = coalesce(excluded."end", t."end"),
                end_id = coalesce(excluded.end_id, t.end_id),
                end_position = coalesce(excluded.end_position, t.end_position),
                end_at = coalesce(excluded.end_at, t.end_at)
            """,
            [
                Column(rows, r => r.Key),
                Column(rows, r => r.Value.Request?.FromAccountId.Value),
                Column(rows, r => r.Value.Request?.ToAccountId.Value),
                Column(rows, r => r.Value.Request?.Amount.MinorUnits),
                Column(rows, r => r.Value.Request?.Currency.Code),
                Column(rows, r => r.Value.Request?.Description),
                Column(rows, r => r.Value.Reason),
                Column(rows, r => r.Value.Requested?.EventId),
                Column(rows, r => r.Value.Requested?.Position.Value),
                Column(rows, r => r.Value.Requested?.RecordedAt),
                .. Columns(r => r.Source),
                .. Columns(r => r.Destination),
                .. Columns(r => r.Return),
                .. Columns(r => r.Outcome),
                .. Columns(r => r.End),
            ]);

        IEnumerable<Npgsql.NpgsqlParameter> Columns(Func<Row, RecordedEvent?> step) =>
        [
            Column(rows, r => step(r.Value)?.EventType),
            Column(rows, r => step(r.Value)?.EventId),
            Column(rows, r => step(r.Value)?.Position.Value),
            Column(rows, r => step(r.Value)?.RecordedAt),
        ];
    }

    private static (Guid TransferId, Row Row) StepOf(RecordedEvent recorded) => StoredEvents.Decode(recorded) switch
    {
        TransferRequested e => (TransferIdOf(recorded), new() { Request = e, Requested = recorded }),
        TransferSent e => (e.TransferId.Value, new() { Source = recorded }),
        // A step has one id, however it ends: it tells whose step was declined.
        TransferDeclined e when recorded.EventId == DerivedId.Step(e.TransferId, TransferStep.Source) =>
            (e.TransferId.Value, new() { Source = recorded, Reason = e.Reason.Code() }),
        TransferDeclined e => (e.TransferId.Value, new() { Destination = recorded, Reason = e.Reason.Code() }),
        TransferReceived e => (e.TransferId.Value, new() { Destination = recorded }),
        TransferReturned e => (e.TransferId.Value, new() { Return = recorded }),
        TransferRejected e => (TransferIdOf(recorded), new() { Outcome = recorded, Reason = e.Reason.Code() }),
        ReturnDecided e => (TransferIdOf(recorded), new() { Outcome = recorded, Reason = e.Reason.Code() }),
        TransferCompleted => (TransferIdOf(recorded), new() { Outcome = recorded }),
        TransferFailed e => (TransferIdOf(recorded), new() { End = recorded, Reason = e.Reason.Code() }),
        var e => throw new UnreachableException($"{e} is no step of a transfer"),
    };

    private static Guid TransferIdOf(RecordedEvent recorded) => TransferId.TryParseStream(recorded.StreamId, out var id)
        ? id.Value
        : throw new FormatException($"{recorded.EventType} lies in {recorded.StreamId}, which is no transfer");

    // What the events of one batch say of a transfer; what they do not say is null.
    private sealed record Row
    {
        public TransferRequested? Request { get; init; }

        public string? Reason { get; init; }

        public RecordedEvent? Requested { get; init; }

        public RecordedEvent? Source { get; init; }

        public RecordedEvent? Destination { get; init; }

        public RecordedEvent? Return { get; init; }

        public RecordedEvent? Outcome { get; init; }

        public RecordedEvent? End { get; init; }

        public Row With(Row later) => new()
        {
            Request = later.Request ?? Request,
            Reason = later.Reason ?? Reason,
            Requested = later.Requested ?? Requested,
            Source = later.Source ?? Source,
            Destination = later.Destination ?? Destination,
            Return = later.Return ?? Return,
            Outcome = later.Outcome ?? Outcome,
            End = later.End ?? End,
        };
    }
}
