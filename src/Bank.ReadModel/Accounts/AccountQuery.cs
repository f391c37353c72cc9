using Bank.Domain;
using Npgsql;
using Orleans.EventSourcing.Postgres;

namespace Bank.ReadModel.Accounts;

/// <summary>An account in the read model.</summary>
public sealed record AccountRow(
    AccountId Id,
    string OwnerName,
    Money Balance,
    Currency Currency,
    string Status,
    long Version,
    DateTimeOffset OpenedAt,
    DateTimeOffset UpdatedAt);

/// <summary>Reads accounts.</summary>
public sealed class AccountQuery(ReadModels readModels)
{
    private static readonly string[] Statuses = ["active", "closed"];

    internal const string One =
        """
        SELECT r.as_of, a.account_id, a.owner_name, a.balance, a.currency, a.status, a.version, a.opened_at, a.updated_at, a.opened_position
        FROM readmodel.as_of('accounts', $2, $3) r (as_of)
        LEFT JOIN readmodel.accounts a ON a.account_id = $1
        """;

    // From each status' part of the index as many as a page has at most, and of these the first ones.
    internal const string OfAll =
        """
        SELECT r.as_of, a.account_id, a.owner_name, a.balance, a.currency, a.status, a.version, a.opened_at, a.updated_at, a.opened_position
        FROM readmodel.as_of('accounts', NULL, NULL) r (as_of)
        LEFT JOIN LATERAL (
            SELECT p.* FROM unnest($1) s (status)
            CROSS JOIN LATERAL (
                SELECT * FROM readmodel.accounts a
                WHERE a.status = s.status AND a.opened_position > $2
                ORDER BY a.opened_position LIMIT $3) p
            ORDER BY p.opened_position LIMIT $3) a ON true
        ORDER BY a.opened_position
        """;

    internal const string OfOwner =
        """
        SELECT r.as_of, a.account_id, a.owner_name, a.balance, a.currency, a.status, a.version, a.opened_at, a.updated_at, a.opened_position
        FROM readmodel.as_of('accounts', NULL, NULL) r (as_of)
        LEFT JOIN LATERAL (
            SELECT p.* FROM unnest($1) s (status)
            CROSS JOIN LATERAL (
                SELECT * FROM readmodel.accounts a
                WHERE a.owner_name = $4 AND a.status = s.status AND a.opened_position > $2
                ORDER BY a.opened_position LIMIT $3) p
            ORDER BY p.opened_position LIMIT $3) a ON true
        ORDER BY a.opened_position
        """;

    /// <summary>One account.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="atLeast">A position that the answer must cover.</param>
    /// <param name="cancellation">Ends the query.</param>
    /// <exception cref="ReadModelBehindException">The position is not covered in time.</exception>
    public async Task<Found<AccountRow>> FindAsync(AccountId id, Position atLeast, CancellationToken cancellation)
    {
        var partition = readModels.PartitionOf(id.StreamId);
        var reached = await readModels.WaitAsync(AccountsProjection.ProjectionName, partition, atLeast);
        await using var command = readModels.Database.CreateCommand(One);
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = id.Value });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = partition.Number });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = partition.Count });
        var (rows, asOf) = await ReadAsync(command, cancellation);
        return new(rows.SingleOrDefault().Row, ReadModels.Later(reached, asOf));
    }

    /// <summary>Accounts in order of opening.</summary>
    /// <param name="owner">Their owner's exact name; null for all.</param>
    /// <param name="status"><c>active</c> or <c>closed</c>; null for both.</param>
    /// <param name="limit">Most items of the page.</param>
    /// <param name="cursor">Where the page before ended; null for the first.</param>
    /// <param name="atLeast">A position that the answer must cover.</param>
    /// <param name="cancellation">Ends the query.</param>
    /// <exception cref="InvalidCursorException">The cursor is of another list, or of other filters.</exception>
    /// <exception cref="ReadModelBehindException">The position is not covered in time.</exception>
    public async Task<Page<AccountRow>> ListAsync(
        string? owner, string? status, int limit, string? cursor, Position atLeast, CancellationToken cancellation)
    {
        var cursors = new Cursor("accounts", owner, status);
        var after = cursors.Read(cursor, 1) is [var position] ? position : 0;
        var reached = await readModels.WaitAsync(AccountsProjection.ProjectionName, null, atLeast);
        await using var command = readModels.Database.CreateCommand(owner is null ? OfAll : OfOwner);
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = status is null ? Statuses : [status] });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = after });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit + 1 });
        if (owner is not null)
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = owner });
        var (rows, asOf) = await ReadAsync(command, cancellation);
        return new(
            [.. rows.Take(limit).Select(r => r.Row)],
            rows.Count > limit ? cursors.After(rows[limit - 1].OpenedPosition) : null,
            ReadModels.Later(reached, asOf));
    }

    private static async Task<(List<(AccountRow Row, long OpenedPosition)> Rows, long AsOf)> ReadAsync(
        NpgsqlCommand command, CancellationToken cancellation)
    {
        var rows = new List<(AccountRow, long)>();
        var asOf = 0L;
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            asOf = reader.GetInt64(0);
            if (reader.IsDBNull(1))
                continue;
            var currency = Currency.Parse(reader.GetString(4));
            rows.Add((
                new(
                    new(reader.GetGuid(1)),
                    reader.GetString(2),
                    new(reader.GetInt64(3), currency.Digits),
                    currency,
                    reader.GetString(5),
                    reader.GetInt64(6),
                    reader.GetFieldValue<DateTimeOffset>(7),
                    reader.GetFieldValue<DateTimeOffset>(8)),
                reader.GetInt64(9)));
        }

        return (rows, asOf);
    }
}
