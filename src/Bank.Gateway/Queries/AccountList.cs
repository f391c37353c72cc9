using Bank.Domain;
using Npgsql;
using Orleans.EventSourcing.Postgres;

namespace Bank.Gateway.Queries;

/// <summary>Lists accounts from the journal itself, in order of opening. A read table will take its place.</summary>
internal sealed class AccountList(NpgsqlDataSource database)
{
    /// <param name="owner">Exactly this one; null for all.</param>
    /// <param name="status">Only these; null for all.</param>
    /// <param name="after">Accounts opened after this position.</param>
    /// <param name="limit">At most so many.</param>
    /// <param name="head">A position that had been recorded before the call.</param>
    /// <param name="cancellation">Ends the call.</param>
    public async Task<ListBody<AccountBody>> ReadAsync(
        string? owner, string? status, long after, int limit, Position head, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            SELECT o.position, o.stream_id, o.data ->> 'owner_name', moved.balance, o.data ->> 'currency', closed.is_closed,
                   latest.version, o.recorded_at, latest.recorded_at
            FROM journal.events o
            CROSS JOIN LATERAL (
                SELECT e.version, e.recorded_at FROM journal.events e
                WHERE e.stream_id = o.stream_id ORDER BY e.version DESC LIMIT 1) latest
            CROSS JOIN LATERAL (
                SELECT e.data ->> 'balance_after' AS balance FROM journal.events e
                WHERE e.stream_id = o.stream_id AND e.data ->> 'balance_after' IS NOT NULL ORDER BY e.version DESC LIMIT 1) moved
            CROSS JOIN LATERAL (
                SELECT EXISTS (
                    SELECT FROM journal.events e WHERE e.stream_id = o.stream_id AND e.event_type = 'AccountClosed') AS is_closed) closed
            WHERE o.event_type = 'AccountOpened' AND o.position > $1
                AND ($2::text IS NULL OR o.data ->> 'owner_name' = $2)
                AND ($3::boolean IS NULL OR closed.is_closed = $3)
            ORDER BY o.position LIMIT $4
            """);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = after });
        command.Parameters.Add(new() { Value = (object?)owner ?? DBNull.Value });
        command.Parameters.Add(new() { Value = status is null ? DBNull.Value : status == Accounts.Closed });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = limit + 1L });
        var items = new List<AccountBody>();
        long last = 0;
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            // One more than the page was asked for, to know whether there is another.
            if (items.Count == limit)
                return new(items, Cursor.Of(CursorKind.Accounts, last), head.Value);
            last = reader.GetInt64(0);
            if (!AccountId.TryParseStream(reader.GetString(1), out var account))
                throw new FormatException($"{reader.GetString(1)} is no stream of an account");
            items.Add(new(
                account.Value,
                reader.GetString(2),
                reader.GetString(3),
                reader.GetString(4),
                reader.GetBoolean(5) ? Accounts.Closed : Accounts.Active,
                reader.GetInt64(6),
                reader.GetFieldValue<DateTimeOffset>(7),
                reader.GetFieldValue<DateTimeOffset>(8),
                head.Value));
        }

        return new(items, null, head.Value);
    }
}
