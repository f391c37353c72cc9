namespace Orleans.EventSourcing.Postgres;

/// <summary>How a process follows the journal, and how a silo makes streams of it. Validated when a silo or a client starts.</summary>
public sealed class JournalStreamOptions
{
    /// <summary>
    /// Number of streams of <see cref="JournalStreams.Projections"/>, a power of two up to 256; default 4. The same on all silos.
    /// </summary>
    public int Partitions { get; set; } = 4;

    /// <summary>Most events of one item, or of one page of history; default 1,000.</summary>
    public int BatchEvents { get; set; } = 1_000;

    /// <summary>
    /// After how much silence a subscriber gets an empty interval; default 10 s. It activates a grain again that was collected, and finds
    /// the subscriber that has gone back to an earlier position, at which Orleans looks only when it delivers. Well below Orleans'
    /// <c>CollectionAge</c>.
    /// </summary>
    public TimeSpan EmptyIntervalAfter { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How often at most a partition is told of events that are not its own; default 50 ms. What is its own it gets at once, and the first
    /// of others', too.
    /// </summary>
    public TimeSpan EmptyIntervalEvery { get; set; } = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// How long the tailer waits for word from the database before it looks for itself; default 1.25 s. This is how late an event comes
    /// when the word was lost.
    /// </summary>
    public TimeSpan PollInterval { get; set; } = TimeSpan.FromSeconds(1.25);

    /// <summary>Most events that are kept in memory for all that follow the journal in a process; default 65,536.</summary>
    public int WindowEvents { get; set; } = 65_536;

    /// <summary>
    /// Most bytes of events that are kept in memory for all that follow the journal in a process; default 64 MiB. What is made of an event
    /// and kept with it, such as the message of a live feed, comes on top.
    /// </summary>
    public long WindowBytes { get; set; } = 64 << 20;

    /// <summary>What is wrong with these settings: a sentence each, which names the setting; empty when all is well.</summary>
    /// <param name="collectionAge">After which Orleans collects a grain that nobody calls.</param>
    public IReadOnlyList<string> FindProblems(TimeSpan collectionAge)
    {
        var problems = new List<string>();
        Require(Partitions is >= 1 and <= StreamSlot.Count && int.IsPow2(Partitions), nameof(Partitions),
            $"must be a power of two up to {StreamSlot.Count}, not {Partitions}");
        Require(BatchEvents >= 1, nameof(BatchEvents), $"must be at least 1, not {BatchEvents}");
        Require(WindowEvents >= 1, nameof(WindowEvents), $"must be at least 1, not {WindowEvents}");
        Require(WindowBytes >= 1, nameof(WindowBytes), $"must be at least 1, not {WindowBytes}");
        Require(PollInterval > TimeSpan.Zero, nameof(PollInterval), "must be longer than nothing");
        Require(EmptyIntervalEvery > TimeSpan.Zero, nameof(EmptyIntervalEvery), "must be longer than nothing");
        Require(EmptyIntervalAfter > TimeSpan.Zero, nameof(EmptyIntervalAfter), "must be longer than nothing");
        Require(EmptyIntervalAfter < collectionAge, nameof(EmptyIntervalAfter),
            $"must be shorter than Orleans' CollectionAge ({collectionAge}), or a grain that was collected stays away");
        return problems;

        void Require(bool condition, string setting, string what)
        {
            if (!condition)
                problems.Add($"{nameof(JournalStreamOptions)}.{setting} {what}.");
        }
    }
}
