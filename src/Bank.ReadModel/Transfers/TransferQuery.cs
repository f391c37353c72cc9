using Bank.Domain;
using Npgsql;
using Orleans.EventSourcing.Postgres;

namespace Bank.ReadModel.Transfers;

/// <summary>A transfer with the steps that it has taken.</summary>
/// <param name="Status"><c>running</c>, <c>completed</c>, <c>rejected</c> or <c>failed</c>.</param>
/// <param name="Phase">What it still has to do.</param>
/// <param name="Reason">The code of the refusal that ended it, or will; null where there is none.</param>
/// <param name="Steps">In order.</param>
public sealed record TransferRow(
    TransferId Id,
    AccountId From,
    AccountId To,
    Money Amount,
    Currency Currency,
    string Description,
    string Status,
    string Phase,
    string? Reason,
    IReadOnlyList<TransferStepRow> Steps);

/// <summary>A recorded step.</summary>
/// <param name="Step">Its event type.</param>
public sealed record TransferStepRow(string Step, Guid EventId, Position Position, DateTimeOffset RecordedAt);

/// <summary>Reads transfers.</summary>
public sealed class TransferQuery(ReadModels readModels)
{
    private const int FirstStep = 9;
    private static readonly string[] Statuses = ["running", "completed", "rejected", "failed"];

    private const string Columns =
        """
        t.transfer_id, t.from_account_id, t.to_account_id, t.amount, t.currency, t.description, t.status, t.reason,
        'TransferRequested', t.requested_id, t.requested_position, t.requested_at,
        t.source, t.source_id, t.source_position, t.source_at,
        t.destination, t.destination_id, t.destination_position, t.destination_at,
        t.outcome, t.outcome_id, t.outcome_position, t.outcome_at,
        t.return, t.return_id, t.return_position, t.return_at,
        t."end", t.end_id, t.end_position, t.end_at
        """;

    internal const string One =
        $"""
        SELECT r.as_of, {Columns}
        FROM readmodel.as_of('transfers', NULL, NULL) r (as_of)
        LEFT JOIN readmodel.transfers t ON t.transfer_id = $1 AND t.requested_position IS NOT NULL
        """;

    // From each status' part of the index as many as a page has at most, of these the newest, and only of those the rows.
    internal const string OfAll =
        $"""
        SELECT r.as_of, {Columns}
        FROM readmodel.as_of('transfers', NULL, NULL) r (as_of)
        LEFT JOIN LATERAL (
            SELECT p.* FROM unnest($1) s (status)
            CROSS JOIN LATERAL (
                SELECT t.status, t.requested_position FROM readmodel.transfers t
                WHERE t.status = s.status AND t.requested_position < $2
                ORDER BY t.requested_position DESC LIMIT $3) p
            ORDER BY p.requested_position DESC LIMIT $3) p ON true
        LEFT JOIN readmodel.transfers t ON t.status = p.status AND t.requested_position = p.requested_position
        ORDER BY p.requested_position DESC
        """;

    // No transfer goes from an account to itself, so none comes twice.
    internal const string OfAccount =
        $"""
        SELECT r.as_of, {Columns}
        FROM readmodel.as_of('transfers', NULL, NULL) r (as_of)
        LEFT JOIN LATERAL (
            SELECT p.* FROM unnest($1) s (status)
            CROSS JOIN LATERAL (
                (SELECT t.status, t.requested_position FROM readmodel.transfers t
                 WHERE t.from_account_id = $4 AND t.status = s.status AND t.requested_position < $2
                 ORDER BY t.requested_position DESC LIMIT $3)
                UNION ALL
                (SELECT t.status, t.requested_position FROM readmodel.transfers t
                 WHERE t.to_account_id = $4 AND t.status = s.status AND t.requested_position < $2
                 ORDER BY t.requested_position DESC LIMIT $3)) p
            ORDER BY p.requested_position DESC LIMIT $3) p ON true
        LEFT JOIN readmodel.transfers t ON t.status = p.status AND t.requested_position = p.requested_position
        ORDER BY p.requested_position DESC
        """;

    /// <summary>One transfer.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="atLeast">A position that the answer must cover.</param>
    /// <param name="cancellation">Ends the query.</param>
    /// <exception cref="ReadModelBehindException">The position is not covered in time.</exception>
    public async Task<Found<TransferRow>> FindAsync(TransferId id, Position atLeast, CancellationToken cancellation)
    {
        var reached = await readModels.WaitAsync(TransfersProjection.ProjectionName, null, atLeast);
        await using var command = readModels.Database.CreateCommand(One);
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = id.Value });
        var (rows, asOf) = await ReadAsync(command, cancellation);
        return new(rows.SingleOrDefault(), ReadModels.Later(reached, asOf));
    }

    /// <summary>Transfers, newest first.</summary>
    /// <param name="account">An account that sends or receives; null for all.</param>
    /// <param name="status">One of the statuses; null for all.</param>
    /// <param name="limit">Most items of the page.</param>
    /// <param name="cursor">Where the page before ended; null for the first.</param>
    /// <param name="atLeast">A position that the answer must cover.</param>
    /// <param name="cancellation">Ends the query.</param>
    /// <exception cref="InvalidCursorException">The cursor is of another list, or of other filters.</exception>
    /// <exception cref="ReadModelBehindException">The position is not covered in time.</exception>
    public async Task<Page<TransferRow>> ListAsync(
        AccountId? account, string? status, int limit, string? cursor, Position atLeast, CancellationToken cancellation)
    {
        var cursors = new Cursor("transfers", account?.ToString(), status);
        var before = cursors.Read(cursor, 1) is [var position] ? position : long.MaxValue;
        var reached = await readModels.WaitAsync(TransfersProjection.ProjectionName, null, atLeast);
        await using var command = readModels.Database.CreateCommand(account is null ? OfAll : OfAccount);
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = status is null ? Statuses : [status] });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = before });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit + 1 });
        if (account is not null)
            command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = account.Value.Value });
        var (rows, asOf) = await ReadAsync(command, cancellation);
        return new(
            [.. rows.Take(limit)],
            rows.Count > limit ? cursors.After(rows[limit - 1].Steps[0].Position.Value) : null,
            ReadModels.Later(reached, asOf));
    }

    private static async Task<(List<TransferRow> Rows, long AsOf)> ReadAsync(NpgsqlCommand command, CancellationToken cancellation)
    {
        var rows = new List<TransferRow>();
        var asOf = 0L;
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            asOf = reader.GetInt64(0);
            if (!reader.IsDBNull(1))
                rows.Add(RowOf(reader));
        }

        return (rows, asOf);
    }

    private static TransferRow RowOf(NpgsqlDataReader reader)
    {
        var currency = Currency.Parse(reader.GetString(5));
        var steps = new List<TransferStepRow>();
        for (var at = FirstStep; at < reader.FieldCount; at += 4)
        {
            if (!reader.IsDBNull(at + 1))
                steps.Add(new(
                    reader.GetString(at), reader.GetGuid(at + 1), new(reader.GetInt64(at + 2)),
                    reader.GetFieldValue<DateTimeOffset>(at + 3)));
        }

        return new(
            new(reader.GetGuid(1)),
            new(reader.GetGuid(2)),
            new(reader.GetGuid(3)),
            new(reader.GetInt64(4), currency.Digits),
            currency,
            reader.GetString(6),
            reader.GetString(7),
            PhaseOf([.. steps.Select(s => s.Step)]).Name(),
            reader.IsDBNull(8) ? null : reader.GetString(8),
            steps);
    }

    // By the last step that is known. Steps come from several partitions, so an earlier one may not be here yet.
    private static TransferPhase PhaseOf(HashSet<string> steps) =>
        steps.Overlaps(["TransferCompleted", "TransferRejected", "TransferFailed"]) ? TransferPhase.Ended
        : steps.Contains("TransferReturned") ? TransferPhase.Completing
        : steps.Contains("ReturnDecided") ? TransferPhase.Returning
        : steps.Contains("TransferReceived") ? TransferPhase.Completing
        : (steps.Contains("TransferSent"), steps.Contains("TransferDeclined")) switch
        {
            (true, true) => TransferPhase.Returning,
            (true, false) => TransferPhase.Receiving,
            (false, true) => TransferPhase.Completing,
            _ => TransferPhase.Sending,
        };
}
