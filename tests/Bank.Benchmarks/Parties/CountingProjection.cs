using System.Collections.Frozen;
using Orleans.EventSourcing.Postgres;
using static Orleans.EventSourcing.Postgres.ProjectionBatch;

namespace Bank.Benchmarks.Parties;

/// <summary>A projection that only counts: what remains is what it takes to run any.</summary>
internal sealed class CountingProjection : Projection
{
    public const string ProjectionName = "counting";

    public override string Name => ProjectionName;

    public override int FoldVersion => 1;

    public override IReadOnlySet<string> EventTypes { get; } = FrozenSet.Create("AccountOpened", "MoneyDeposited");

    public override IReadOnlyList<string> Tables => ["counting"];

    public override string Create(ProjectionTables tables) =>
        $"CREATE TABLE {tables["counting"]} (partition integer PRIMARY KEY, count bigint NOT NULL)";

    public override void Write(IReadOnlyList<RecordedEvent> events, ProjectionBatch batch) => batch.Add(
        $"""
        INSERT INTO {batch.Tables["counting"]} AS c VALUES ($1, $2)
        ON CONFLICT (partition) DO UPDATE SET count = c.count + excluded.count
        """,
        Value(batch.Partition.Number),
        Value((long)events.Count));
}

[GrainType("projection-counting"), ImplicitStreamSubscription(JournalStreams.Projections)]
internal sealed class CountingGrain(ProjectionRuntime runtime) : ProjectionGrain(CountingProjection.ProjectionName, runtime);
