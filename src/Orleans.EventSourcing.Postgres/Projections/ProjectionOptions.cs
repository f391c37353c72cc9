namespace Orleans.EventSourcing.Postgres;

/// <summary>The projections of a process.</summary>
public sealed class ProjectionOptions
{
    /// <summary>The read models.</summary>
    public IList<Projection> Projections { get; } = [];

    /// <summary>
    /// How many partitions each has: a power of two up to <see cref="StreamSlot.Count"/>, the number of the journal's partition streams;
    /// default 4. Another number makes the host fill new tables.
    /// </summary>
    public int Partitions { get; set; } = 4;

    /// <summary>
    /// Most delivered events that one transaction applies; default 1,000. What is read from the table is applied page by page.
    /// </summary>
    public int BatchEvents { get; set; } = 1_000;

    /// <summary>
    /// Most delivered events that wait in memory, per partition and generation; default 4,000. What comes beyond is read from the table.
    /// </summary>
    public int QueueEvents { get; set; } = 4_000;

    /// <summary>Positions that one read takes where a partition is far behind; default 8,192.</summary>
    public int PageEvents { get; set; } = 8_192;

    /// <summary>Pages that partitions which are far behind share; default 8.</summary>
    public int SharedPages { get; set; } = 8;

    /// <summary>
    /// How long at least after a commit a partition gathers what is delivered before it commits again, unless somebody waits for a
    /// position; default 20 ms. It gathers for as long as the commit took, up to 250 ms, where that is longer. Rows come later by as much
    /// under load, and not at all after a silence.
    /// </summary>
    public TimeSpan GatherFor { get; set; } = TimeSpan.FromMilliseconds(20);

    /// <summary>
    /// How long a checkpoint that has advanced over events of others only may stay in memory; default 500 ms. Nothing is lost with it: a
    /// checkpoint that lies lower than it could costs reading.
    /// </summary>
    public TimeSpan FlushAfter { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Transactions that the serving tables of one projection have under way at most; default 4.</summary>
    public int Writers { get; set; } = 4;

    /// <summary>Transactions that rebuilds of this process have under way at most; default 4.</summary>
    public int RebuildWriters { get; set; } = 4;

    /// <summary>The longest wait between two attempts at a database that is away; default 2 s.</summary>
    public TimeSpan MaxBackoff { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>How long a statement may take; default 30 s.</summary>
    public TimeSpan CommandTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// What is wrong with these settings: a sentence each, which names the setting; empty when all is well. The partitions are those of
    /// the streams, see <see cref="JournalStreamOptions.FindProblems"/>.
    /// </summary>
    public IReadOnlyList<string> FindProblems()
    {
        var problems = new List<string>();
        AtLeastOne(BatchEvents, nameof(BatchEvents));
        AtLeastOne(QueueEvents, nameof(QueueEvents));
        AtLeastOne(PageEvents, nameof(PageEvents));
        AtLeastOne(SharedPages, nameof(SharedPages));
        AtLeastOne(Writers, nameof(Writers));
        AtLeastOne(RebuildWriters, nameof(RebuildWriters));
        Require(GatherFor >= TimeSpan.Zero, nameof(GatherFor), "must not be negative");
        Require(FlushAfter > TimeSpan.Zero, nameof(FlushAfter), "must be longer than nothing");
        Require(MaxBackoff > TimeSpan.Zero, nameof(MaxBackoff), "must be longer than nothing");
        Require(CommandTimeout > TimeSpan.Zero, nameof(CommandTimeout), "must be longer than nothing");
        return problems;

        void AtLeastOne(int value, string setting) => Require(value >= 1, setting, $"must be at least 1, not {value}");

        void Require(bool condition, string setting, string what)
        {
            if (!condition)
                problems.Add($"{nameof(ProjectionOptions)}.{setting} {what}.");
        }
    }
}
