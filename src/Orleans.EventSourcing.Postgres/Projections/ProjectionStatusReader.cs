using Npgsql;

namespace Orleans.EventSourcing.Postgres;

/// <summary>Reads how projections stand; from any process that reaches the database.</summary>
/// <param name="database">As the role that runs the system.</param>
public sealed class ProjectionStatusReader(NpgsqlDataSource database)
{
    /// <summary>All projections that have ever run here, by name.</summary>
    public async Task<IReadOnlyList<ProjectionStatus>> ReadAsync(CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            SELECT p.name, p.paused, g.generation, g.fold_version, g.serving,
                   (SELECT round(avg(least(next.position::numeric / greatest(h.position, 1), 1)), 6)
                    FROM readmodel.generations b JOIN readmodel.checkpoints next USING (projection, generation)
                    WHERE projection = p.name AND NOT b.serving) AS progress,
                   c.partition, c.position, c.parked_position, c.parked_reason, c.parked_at, greatest(h.position - c.position, 0) AS lag,
                   coalesce((SELECT greatest(round(extract(epoch FROM clock_timestamp() - e.recorded_at), 3), 0)
                             FROM journal.events e WHERE e.position > c.position ORDER BY e.position LIMIT 1), 0) AS lag_seconds
            FROM readmodel.projections p
            JOIN readmodel.generations g ON g.projection = p.name
            JOIN readmodel.checkpoints c ON c.projection = g.projection AND c.generation = g.generation
            CROSS JOIN journal.head h
            WHERE g.serving OR c.parked_position IS NOT NULL
            ORDER BY p.name, g.serving DESC, c.partition
            """);
        var rows = new List<Row>();
        await using var reader = await command.ExecuteReaderAsync(cancellation).ConfigureAwait(false);
        while (await reader.ReadAsync(cancellation).ConfigureAwait(false))
        {
            rows.Add(new(
                reader.GetString(0),
                reader.GetBoolean(1),
                reader.GetInt32(2),
                reader.GetInt32(3),
                reader.GetBoolean(4),
                reader.IsDBNull(5) ? null : reader.GetDecimal(5),
                reader.GetInt32(6),
                reader.GetInt64(7),
                reader.IsDBNull(8) ? null : new(reader.GetInt64(8), reader.GetString(9), reader.GetFieldValue<DateTimeOffset>(10)),
                reader.GetInt64(11),
                reader.GetDecimal(12)));
        }

        return [.. rows.GroupBy(r => r.Name).Select(Summarize)];
    }

    private static ProjectionStatus Summarize(IGrouping<string, Row> projection)
    {
        var serving = projection.TakeWhile(r => r.Serving).ToList();
        var first = serving[0];
        var state = first.Paused ? "paused"
            : projection.Any(r => r.Parked is not null) ? "parked"
            : first.Progress is not null ? "rebuilding"
            : "running";
        return new(
            projection.Key,
            state,
            first.Generation,
            first.FoldVersion,
            serving.Max(r => r.Lag),
            serving.Max(r => r.LagSeconds),
            first.Progress,
            [
                .. projection.Select(r => new ProjectionPartitionStatus(
                    r.Partition, r.Paused ? "paused" : r.Parked is null ? "running" : "parked", r.Position, r.Parked)),
            ]);
    }

    private sealed record Row(
        string Name, bool Paused, int Generation, int FoldVersion, bool Serving, decimal? Progress, int Partition, long Position,
        ParkedAt? Parked, long Lag, decimal LagSeconds);
}
