using Bank.Domain;
using Npgsql;
using Orleans.EventSourcing.Postgres;

namespace Bank.ReadModel.Transactions;

/// <summary>A movement of an account's money.</summary>
/// <param name="Amount">Negative where money leaves.</param>
public sealed record TransactionRow(
    Guid EventId,
    Position Position,
    long Version,
    string Type,
    Money Amount,
    Money BalanceAfter,
    Currency Currency,
    AccountId? Counterparty,
    TransferId? TransferId,
    string Description,
    DateTimeOffset RecordedAt);

/// <summary>Reads the movements of accounts.</summary>
public sealed class TransactionQuery(ReadModels readModels)
{
    internal const string OfAccount =
        """
        SELECT r.as_of, opening.currency, t.event_id, t.position, t.version, t.type, t.amount, t.balance_after, t.counterparty_account_id,
               t.transfer_id, t.description, t.recorded_at
        FROM readmodel.as_of('transactions', $2, $7) r (as_of)
        LEFT JOIN LATERAL (
            SELECT o.currency FROM readmodel.transactions o
            WHERE o.account_id = $1 ORDER BY o.recorded_at, o.position LIMIT 1) opening ON true
        LEFT JOIN LATERAL (
            SELECT * FROM readmodel.transactions p
            WHERE p.account_id = $1 AND (p.recorded_at, p.position) < ($3, $4) AND p.recorded_at >= $5
            ORDER BY p.recorded_at DESC, p.position DESC LIMIT $6) t ON true
        ORDER BY t.recorded_at DESC, t.position DESC
        """;

    /// <summary>The movements of an account, newest first.</summary>
    /// <param name="account">Whose.</param>
    /// <param name="from">The earliest time, inclusive; null for all.</param>
    /// <param name="to">The latest time, inclusive; null for all.</param>
    /// <param name="limit">Most items of the page.</param>
    /// <param name="cursor">Where the page before ended; null for the first.</param>
    /// <param name="atLeast">A position that the answer must cover.</param>
    /// <param name="cancellation">Ends the query.</param>
    /// <returns>Without a page where the account does not exist.</returns>
    /// <exception cref="InvalidCursorException">The cursor is of another list, or of other filters.</exception>
    /// <exception cref="ReadModelBehindException">The position is not covered in time.</exception>
    public async Task<Found<Page<TransactionRow>>> ListAsync(
        AccountId account, DateTimeOffset? from, DateTimeOffset? to, int limit, string? cursor, Position atLeast,
        CancellationToken cancellation)
    {
        var cursors = new Cursor("transactions", account.ToString(), Text(from), Text(to));
        var (beforeTime, beforePosition) = cursors.Read(cursor, 2) is [var ticks, var position]
            ? (DateTimeOffset.UnixEpoch.AddTicks(ticks), position)
            : (to ?? DateTimeOffset.MaxValue, long.MaxValue);
        var partition = readModels.PartitionOf(account.StreamId);
        var reached = await readModels.WaitAsync(TransactionsProjection.ProjectionName, partition, atLeast);

        await using var command = readModels.Database.CreateCommand(OfAccount);
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = account.Value });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = partition.Number });
        command.Parameters.Add(new NpgsqlParameter<DateTimeOffset> { TypedValue = beforeTime.ToUniversalTime() });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = beforePosition });
        command.Parameters.Add(new NpgsqlParameter<DateTimeOffset> { TypedValue = (from ?? DateTimeOffset.MinValue).ToUniversalTime() });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit + 1 });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = partition.Count });
        var rows = new List<TransactionRow>();
        Currency? currency = null;
        var asOf = 0L;
        await using (var reader = await command.ExecuteReaderAsync(cancellation))
        {
            while (await reader.ReadAsync(cancellation))
            {
                asOf = reader.GetInt64(0);
                if (!reader.IsDBNull(1))
                    currency = Currency.Parse(reader.GetString(1));
                if (!reader.IsDBNull(2))
                    rows.Add(RowOf(reader, currency!.Value));
            }
        }

        var covered = ReadModels.Later(reached, asOf);
        if (currency is null)
            return new(null, covered);
        var next = rows.Count > limit && rows[limit - 1] is var last
            ? cursors.After((last.RecordedAt - DateTimeOffset.UnixEpoch).Ticks, last.Position.Value)
            : null;
        return new(new([.. rows.Take(limit)], next, covered), covered);
    }

    private static TransactionRow RowOf(NpgsqlDataReader reader, Currency currency) => new(
        reader.GetGuid(2),
        new(reader.GetInt64(3)),
        reader.GetInt64(4),
        reader.GetString(5),
        new(reader.GetInt64(6), currency.Digits),
        new(reader.GetInt64(7), currency.Digits),
        currency,
        reader.IsDBNull(8) ? null : new AccountId(reader.GetGuid(8)),
        reader.IsDBNull(9) ? null : new TransferId(reader.GetGuid(9)),
        reader.GetString(10),
        reader.GetFieldValue<DateTimeOffset>(11));

    private static string? Text(DateTimeOffset? time) => time?.UtcTicks.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
