using Orleans.Runtime;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// What one partition of the journal holds between two positions: an item of a partition's stream. It may hold no event at all, so that a
/// reader's checkpoint advances over what is not its own.
/// </summary>
/// <param name="Partition">
/// Whose events: silos that are set to different numbers of partitions, as while they are restarted one by one, deliver to each other.
/// </param>
/// <param name="From">Exclusive: where the reader must stand for the interval to follow on.</param>
/// <param name="To">Inclusive: where the reader stands after it.</param>
/// <param name="Events">All events of the partition above <paramref name="From"/> up to <paramref name="To"/>, in order.</param>
/// <param name="Sender">The silo that has the partition's queue; null where it was not sent.</param>
[GenerateSerializer, Immutable, Alias("journal.Interval")]
public sealed record JournalInterval(
    [property: Id(3)] Partition Partition,
    [property: Id(0)] Position From,
    [property: Id(1)] Position To,
    [property: Id(2)] IReadOnlyList<RecordedEvent> Events,
    [property: Id(4)] SiloAddress? Sender = null);
