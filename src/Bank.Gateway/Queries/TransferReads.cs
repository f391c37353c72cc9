using Bank.Domain;
using Bank.Events;
using Npgsql;
using Orleans.EventSourcing.Postgres;

namespace Bank.Gateway.Queries;

/// <summary>
/// Puts transfers together from the journal itself: their steps lie in up to three streams, under ids that follow from the transfer's. A
/// read table will take its place.
/// </summary>
internal sealed class TransferReads(NpgsqlDataSource database)
{
    private const string Columns = "position, event_id, stream_id, version, event_type, schema_version, data, metadata, recorded_at";

    private static readonly TransferStep[] Steps = Enum.GetValues<TransferStep>();

    public async Task<TransferBody?> FindAsync(TransferId id, Position head, CancellationToken cancellation)
    {
        // An account's command can have the same id, so the stream counts, too.
        var requested = await ReadAsync(
            $"SELECT {Columns} FROM journal.events WHERE event_id = $1 AND stream_id = $2",
            [new NpgsqlParameter<Guid> { TypedValue = id.Value }, new NpgsqlParameter<string> { TypedValue = id.StreamId }],
            cancellation);
        return (await AssembleAsync(requested, head, cancellation)).SingleOrDefault();
    }

    /// <summary>Newest first.</summary>
    /// <param name="account">Only from or to this one; null for all.</param>
    /// <param name="status">Only these; null for all.</param>
    /// <param name="before">Transfers requested before this position.</param>
    /// <param name="limit">At most so many.</param>
    /// <param name="head">A position that had been recorded before the call.</param>
    /// <param name="cancellation">Ends the call.</param>
    public async Task<ListBody<TransferBody>> ReadAsync(
        AccountId? account, string? status, long before, int limit, Position head, CancellationToken cancellation)
    {
        var items = new List<TransferBody>();
        while (true)
        {
            var requested = await ReadAsync(
                $"""
                SELECT {Columns} FROM journal.events
                WHERE event_type = 'TransferRequested' AND position < $1
                    AND ($2::text IS NULL OR data ->> 'from_account_id' = $2 OR data ->> 'to_account_id' = $2)
                ORDER BY position DESC LIMIT $3
                """,
                [
                    new NpgsqlParameter<long> { TypedValue = before },
                    new() { Value = (object?)account?.ToString() ?? DBNull.Value },
                    new NpgsqlParameter<long> { TypedValue = limit + 1L },
                ],
                cancellation);
            // The status follows from the steps, so what has another one is left out here, and more is read in its place.
            foreach (var transfer in await AssembleAsync(requested, head, cancellation))
            {
                if (status is not null && transfer.Status != status)
                    continue;
                if (items.Count == limit)
                    return new(items, Cursor.Of(CursorKind.Transfers, items[^1].Steps[0].Position), head.Value);
                items.Add(transfer);
            }

            if (requested.Count <= limit)
                return new(items, null, head.Value);
            before = requested[^1].Position.Value;
        }
    }

    private async Task<IEnumerable<TransferBody>> AssembleAsync(
        IReadOnlyList<RecordedEvent> requested, Position head, CancellationToken cancellation)
    {
        var transferOf = new Dictionary<Guid, Guid>();
        foreach (var request in requested)
        {
            foreach (var step in Steps)
                transferOf.Add(DerivedId.Step(new(request.EventId), step), request.EventId);
        }

        // In one statement, which sees no step without those before it; by position, they come in the order in which they were taken.
        var steps = (await ReadAsync(
            $"SELECT {Columns} FROM journal.events WHERE event_id = ANY($1) ORDER BY position",
            [new NpgsqlParameter<Guid[]> { TypedValue = [.. transferOf.Keys] }],
            cancellation)).ToLookup(step => transferOf[step.EventId]);
        return requested.Select(request => Fold([request, .. steps[request.EventId]], head));
    }

    private static TransferBody Fold(IReadOnlyList<RecordedEvent> steps, Position head)
    {
        TransferState? state = null;
        foreach (var step in steps)
            state = Transfer.Evolve(state, (ITransferStep)StoredEvents.Decode(step));
        var request = state!.Request;
        return new(
            steps[0].EventId,
            request.FromAccountId.Value,
            request.ToAccountId.Value,
            request.Amount.ToString(),
            request.Currency.Code,
            request.Description,
            Transfer.Status(state).Name(),
            Transfer.Phase(state).Name(),
            state.Reason?.Code(),
            [.. steps.Select(step => new StepBody(step.EventType, step.EventId, step.Position.Value, step.RecordedAt))],
            head.Value);
    }

    private async Task<IReadOnlyList<RecordedEvent>> ReadAsync(string sql, NpgsqlParameter[] parameters, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(sql);
        command.Parameters.AddRange(parameters);
        var events = new List<RecordedEvent>();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            events.Add(new(
                new(reader.GetInt64(0)),
                reader.GetGuid(1),
                reader.GetString(2),
                reader.GetInt64(3),
                reader.GetString(4),
                reader.GetInt16(5),
                reader.GetFieldValue<byte[]>(6),
                reader.GetFieldValue<byte[]>(7),
                reader.GetFieldValue<DateTimeOffset>(8)));
        return events;
    }
}
