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
}
