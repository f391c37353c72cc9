using Orleans.Runtime;
using Orleans.Streams;

namespace Orleans.EventSourcing.Postgres;

/// <summary>An interval on its way to a subscriber, who takes it whole or event by event.</summary>
[GenerateSerializer, Immutable, Alias("journal.Batch")]
internal sealed record JournalBatch(
    [property: Id(0)] StreamId StreamId, [property: Id(1)] JournalInterval Interval, [property: Id(2)] int Index) : IBatchContainer
{
    public StreamSequenceToken SequenceToken => JournalStreams.EndOf(Interval.To, Index);

    // An item of another type fails at the subscriber, loudly, rather than never coming.
    public IEnumerable<Tuple<T, StreamSequenceToken>> GetEvents<T>() =>
        typeof(T) == typeof(JournalInterval)
            ? [Tuple.Create((T)(object)Interval, SequenceToken)]
            : Interval.Events.Select(e => Tuple.Create((T)(object)e, JournalStreams.From(e.Position)));

    public bool ImportRequestContext() => false;
}
