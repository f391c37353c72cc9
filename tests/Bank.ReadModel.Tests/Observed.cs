using Orleans.EventSourcing.Postgres;

namespace Bank.ReadModel.Tests;

/// <summary>A projection as it is, with a look at what it is about to write.</summary>
internal sealed class Observed(Projection inner, Action<IReadOnlyList<RecordedEvent>, int> beforeWrite) : Projection
{
    public override string Name => inner.Name;

    public override int FoldVersion => inner.FoldVersion;

    public override IReadOnlySet<string> EventTypes => inner.EventTypes;

    public override IReadOnlyList<string> Tables => inner.Tables;

    public override string Create(ProjectionTables tables) => inner.Create(tables);

    public override void Write(IReadOnlyList<RecordedEvent> events, ProjectionBatch batch)
    {
        beforeWrite(events, batch.Tables.Generation);
        inner.Write(events, batch);
    }
}
