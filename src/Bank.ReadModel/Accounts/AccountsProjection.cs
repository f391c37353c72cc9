using System.Collections.Frozen;
using Bank.Domain;
using Bank.Events;
using Orleans.EventSourcing.Postgres;
using static Orleans.EventSourcing.Postgres.ProjectionBatch;

namespace Bank.ReadModel.Accounts;

/// <summary>One row per account, as its last event left it.</summary>
public sealed class AccountsProjection : Projection
{
    public const string ProjectionName = "accounts";

    public override string Name => ProjectionName;

    public override int FoldVersion => 1;

    public override IReadOnlySet<string> EventTypes { get; } = FrozenSet.Create(
        "AccountOpened", "MoneyDeposited", "MoneyWithdrawn", "TransferSent", "TransferDeclined", "TransferReceived", "TransferReturned",
        "AccountClosed");

    public override IReadOnlyList<string> Tables => ["accounts"];

    // Lists are in order of opening. A list without a status reads both statuses' parts of an index side by side.
    public override string Create(ProjectionTables tables) =>
        $"""
        CREATE TABLE {tables["accounts"]} (
            account_id uuid NOT NULL,
            owner_name text COLLATE "C" NOT NULL,
            currency text COLLATE "C" NOT NULL,
            balance bigint NOT NULL,
            status text COLLATE "C" NOT NULL,
            version bigint NOT NULL,
            opened_position bigint NOT NULL,
            opened_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            PRIMARY KEY (account_id)
        ) WITH (
            -- Every movement updates its account's row, and no index: room for the next version beside it.
            fillfactor = 70,
            autovacuum_vacuum_scale_factor = 0.05
        );
        CREATE INDEX {tables.Index("accounts_status")} ON {tables["accounts"]} (status, opened_position);
        CREATE INDEX {tables.Index("accounts_owner")} ON {tables["accounts"]} (owner_name, status, opened_position);
        """;

    public override void Write(IReadOnlyList<RecordedEvent> events, ProjectionBatch batch)
    {
        var rows = new Dictionary<string, Row>();
        foreach (var recorded in events)
        {
            var row = rows.GetValueOrDefault(recorded.StreamId) ?? new Row(AccountIdOf(recorded));
            rows[recorded.StreamId] = (StoredEvents.Decode(recorded) switch
            {
                AccountOpened e => row with { Opened = (e.OwnerName, e.Currency.Code, recorded), Balance = e.BalanceAfter.MinorUnits },
                MoneyMoved e => row with { Balance = e.BalanceAfter.MinorUnits },
                AccountClosed => row with { Closed = true },
                _ => row,
            }) with { Version = recorded.Version, At = recorded.RecordedAt };
        }

        var opened = rows.Values.Where(r => r.Opened is not null).ToList();
        if (opened.Count > 0)
        {
            batch.Add(
                $"""
                INSERT INTO {batch.Tables["accounts"]}
                    (account_id, owner_name, currency, balance, status, version, opened_position, opened_at, updated_at)
                SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)
                """,
                Column(opened, r => r.Id),
                Column(opened, r => r.Opened!.Value.OwnerName),
                Column(opened, r => r.Opened!.Value.Currency),
                Column(opened, r => r.Balance!.Value),
                Column(opened, r => r.Closed ? "closed" : "active"),
                Column(opened, r => r.Version),
                Column(opened, r => r.Opened!.Value.Event.Position.Value),
                Column(opened, r => r.Opened!.Value.Event.RecordedAt),
                Column(opened, r => r.At));
        }

        var changed = rows.Values.Where(r => r.Opened is null).ToList();
        if (changed.Count > 0)
        {
            // The status is left alone where it stays, so that the new version of the row needs no new index entries.
            batch.Add(
                $"""
                UPDATE {batch.Tables["accounts"]} a
                SET balance = coalesce(u.balance, a.balance), status = CASE WHEN u.closed THEN 'closed' ELSE a.status END,
                    version = u.version, updated_at = u.updated_at
                FROM unnest($1, $2, $3, $4, $5) u (account_id, balance, closed, version, updated_at)
                WHERE a.account_id = u.account_id
                """,
                Column(changed, r => r.Id),
                Column(changed, r => r.Balance),
                Column(changed, r => r.Closed),
                Column(changed, r => r.Version),
                Column(changed, r => r.At));
        }
    }

    /// <summary>The account that an event belongs to.</summary>
    /// <exception cref="FormatException">It lies in no account.</exception>
    internal static Guid AccountIdOf(RecordedEvent recorded) => AccountId.TryParseStream(recorded.StreamId, out var id)
        ? id.Value
        : throw new FormatException($"{recorded.EventType} lies in {recorded.StreamId}, which is no account");

    // What the events of one batch make of an account; what they do not say is null.
    private sealed record Row(Guid Id)
    {
        public (string OwnerName, string Currency, RecordedEvent Event)? Opened { get; init; }

        public long? Balance { get; init; }

        public bool Closed { get; init; }

        public long Version { get; init; }

        public DateTimeOffset At { get; init; }
    }
}
