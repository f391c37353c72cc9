using System.Collections.Frozen;
using static Orleans.EventSourcing.Postgres.ProjectionBatch;

namespace Orleans.EventSourcing.Postgres.Tests.Projections;

/// <summary>Counts events by type, and cannot count one whose data say <c>poison</c>.</summary>
internal class CountedEvents(int foldVersion = 1, Projection? predecessor = null) : Projection
{
    private int _writes;

    public override string Name => "counted";

    public override int FoldVersion => foldVersion;

    public override IReadOnlySet<string> EventTypes { get; } = FrozenSet.Create("MoneyDeposited", "MoneyWithdrawn");

    public override IReadOnlyList<string> Tables => ["counted"];

    public override Projection? Predecessor => predecessor;

    /// <summary>Whether the code has been mended since.</summary>
    public bool TakesPoison { get; set; }

    /// <summary>How many transactions it was asked to write.</summary>
    public int Writes => Volatile.Read(ref _writes);

    public override string Create(ProjectionTables tables) =>
        $"CREATE TABLE {tables["counted"]} (type text, partition int, count bigint, weight int, PRIMARY KEY (type, partition))";

    public override void Write(IReadOnlyList<RecordedEvent> events, ProjectionBatch batch)
    {
        Interlocked.Increment(ref _writes);
        if (!TakesPoison && events.Any(e => e.Data.Span.IndexOf("poison"u8) >= 0))
            throw new FormatException("this cannot be counted");
        var counts = events.CountBy(e => e.EventType).ToList();
        batch.Add(
            $"""
            INSERT INTO {batch.Tables["counted"]} AS c SELECT u.type, $3, u.count, $4 FROM unnest($1, $2) u (type, count)
            ON CONFLICT (type, partition) DO UPDATE SET count = c.count + excluded.count
            """,
            Column(counts, c => c.Key), Column(counts, c => (long)c.Value), Value(batch.Partition.Number), Value(FoldVersion));
    }
}

[GrainType("projection-counted"), ImplicitStreamSubscription(JournalStreams.Projections)]
internal sealed class CountedGrain(ProjectionRuntime runtime) : ProjectionGrain("counted", runtime);
