using System.Diagnostics.Metrics;
using Npgsql;

namespace Bank.Grains.Transfers;

/// <summary>A transfer that has taken no step for longer than it should.</summary>
/// <param name="TransferId">The transfer.</param>
/// <param name="Phase">What it still has to do, in the words of the REST contract.</param>
/// <param name="LastStepAt">When its last step was recorded.</param>
public sealed record OverdueTransfer(Guid TransferId, string Phase, DateTimeOffset LastStepAt);

/// <summary>How many transfers are under way, and how many of them are overdue.</summary>
/// <param name="Open">In the table.</param>
/// <param name="Overdue">Of these.</param>
/// <param name="BehindSeconds">Age of the oldest event that the table does not know of yet; 0 where it knows all.</param>
public sealed record TransferCounts(long Open, long Overdue, double BehindSeconds);

/// <summary>The table of open transfers, which is folded from the journal and is no part of it: see <c>sql/work</c>.</summary>
public sealed class TransferWatch : IDisposable
{
    // One call folds this many events at most, so that a long way behind the head is walked in short transactions.
    private const long EventsPerStep = 20_000;

    private readonly NpgsqlDataSource _database;
    private readonly BankOptions _options;
    private readonly Meter _meter;
    private TransferCounts _counts = new(0, 0, 0);

    public TransferWatch(NpgsqlDataSource database, BankOptions options, IMeterFactory meters)
    {
        (_database, _options) = (database, options);
        _meter = meters.Create(BankMetrics.MeterName);
        _meter.CreateObservableGauge("saga.open", () => _counts.Open, "{transfer}", "Transfers that have not ended");
        _meter.CreateObservableGauge("saga.overdue", () => _counts.Overdue, "{transfer}", "Transfers without a step for too long");
        _meter.CreateObservableGauge(
            "saga.behind", () => _counts.BehindSeconds, "s", "Age of the oldest event that the watchdog has not looked at");
    }

    public void Dispose() => _meter.Dispose();

    /// <summary>Folds what the journal has gained since the last call.</summary>
    public async Task FollowAsync(CancellationToken cancellation)
    {
        await using var follow = _database.CreateCommand("SELECT work.follow_transfers($1)");
        follow.Parameters.Add(new() { Value = EventsPerStep });
        while ((long)(await follow.ExecuteScalarAsync(cancellation))! > 0)
        {
        }
    }

    /// <summary>Takes the transfers to resume: overdue, and not taken for as long. Taking marks them, so that no two resume one.</summary>
    /// <param name="limit">
    /// At most so many, those first whose last step or last resumption is longest ago: of thousands that cannot be helped none keeps the
    /// others waiting.
    /// </param>
    /// <param name="cancellation">Ends the call.</param>
    public async Task<IReadOnlyList<OverdueTransfer>> TakeOverdueAsync(int limit, CancellationToken cancellation)
    {
        await using var take = _database.CreateCommand(
            """
            -- Materialized: looked up again for each row, the limit would hold for each look.
            WITH due AS MATERIALIZED (
                SELECT t.transfer_id FROM work.open_transfers t
                WHERE t.last_step_at < clock_timestamp() - $1
                    AND (t.resumed_at IS NULL OR t.resumed_at < clock_timestamp() - $1)
                ORDER BY coalesce(t.resumed_at, t.last_step_at)
                LIMIT $2
                FOR UPDATE SKIP LOCKED)
            UPDATE work.open_transfers o SET resumed_at = clock_timestamp()
            FROM due WHERE o.transfer_id = due.transfer_id
            RETURNING o.transfer_id, o.phase, o.last_step_at
            """);
        take.Parameters.Add(new() { Value = _options.TransferOverdueAfter });
        take.Parameters.Add(new() { Value = limit });
        var taken = new List<OverdueTransfer>();
        await using var reader = await take.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            taken.Add(new(reader.GetGuid(0), reader.GetString(1), reader.GetFieldValue<DateTimeOffset>(2)));
        return taken;
    }

    /// <summary>Counts what is under way, for metrics and health.</summary>
    public async Task<TransferCounts> CountAsync(CancellationToken cancellation)
    {
        await using var count = _database.CreateCommand(
            """
            SELECT count(*), count(*) FILTER (WHERE last_step_at < clock_timestamp() - $1),
                greatest(0, extract(epoch FROM clock_timestamp() - (
                    SELECT e.recorded_at FROM journal.events e
                    WHERE e.position > (SELECT c.position FROM work.checkpoints c WHERE c.name = 'open_transfers')
                    ORDER BY e.position LIMIT 1)))::double precision
            FROM work.open_transfers
            """);
        count.Parameters.Add(new() { Value = _options.TransferOverdueAfter });
        await using var reader = await count.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        return _counts = new(reader.GetInt64(0), reader.GetInt64(1), reader.GetDouble(2));
    }
}
