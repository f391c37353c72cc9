using Orleans.Providers.Streams.Common;
using Orleans.Runtime;
using Orleans.Streams;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// The journal as Orleans streams. Two providers carry it, each with a stream namespace of its own name; the key is the number of the
/// partition. A subscriber chooses its item: <see cref="RecordedEvent"/>, or <see cref="JournalInterval"/>, which is hundreds of events at
/// a time, and none where a partition has none.
/// </summary>
public static class JournalStreams
{
    /// <summary>
    /// Provider and namespace of the partitions' streams, keys <c>0</c> to <see cref="JournalStreamOptions.Partitions"/> - 1, for implicit
    /// subscriptions only: <c>[ImplicitStreamSubscription(JournalStreams.Projections)]</c> makes one grain of the class per partition.
    /// </summary>
    public const string Projections = "journal-projections";

    /// <summary>
    /// Provider and namespace of the one stream of all events, key <c>0</c>, for implicit and explicit subscriptions. The latter lie in the
    /// grain storage with the name <c>PubSubStore</c>.
    /// </summary>
    public const string Provider = "journal";

    /// <summary>The stream of all events, of <see cref="Provider"/>.</summary>
    public static StreamId All { get; } = StreamId.Create(Provider, 0);

    /// <summary>The stream of a partition, of <see cref="Projections"/>.</summary>
    public static StreamId Of(Partition partition) => StreamId.Create(Projections, partition.Number);

    /// <summary>The partition that a stream of <see cref="Projections"/> carries.</summary>
    /// <param name="stream">The stream.</param>
    /// <param name="count">How many partitions there are.</param>
    public static Partition PartitionOf(StreamId stream, int count) =>
        int.TryParse(stream.GetKeyAsString(), System.Globalization.NumberStyles.None, null, out var number) && number < count
            ? new(number, count)
            : throw new ArgumentException($"{stream} is no stream of the journal: its key must be a number below {count}.", nameof(stream));

    /// <summary>Subscribes to what lies at a position and after it: 1 is the beginning.</summary>
    public static StreamSequenceToken From(Position position) => new EventSequenceTokenV2(position.Value, 0);

    /// <summary>Subscribes to what lies after a position: 0 is the beginning.</summary>
    public static StreamSequenceToken After(Position position) => new EventSequenceTokenV2(position.Value, 1);

    /// <summary>The position of the event that a token came with, or of the end of an interval.</summary>
    public static Position PositionOf(StreamSequenceToken token) => new(token.SequenceNumber);

    // The first number of a token is a position. The second is 0 at the event there, and above after it: the end of a container, which must
    // differ from the token of any event in it, or a subscriber that was given up for a while asks for the same container for ever.
    internal static StreamSequenceToken EndOf(Position position, int index) => new EventSequenceTokenV2(position.Value, index);

    internal static Position After(StreamSequenceToken token) =>
        new(Math.Max(0, token.EventIndex == 0 ? token.SequenceNumber - 1 : token.SequenceNumber));
}
