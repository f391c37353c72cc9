using Npgsql;

namespace Orleans.EventSourcing.Postgres;

/// <summary>A silo's journal. Validated when the silo starts.</summary>
public sealed class PostgresJournalOptions
{
    /// <summary>The database, as the role that runs the system; required.</summary>
    public string ConnectionString { get; set; } = "";

    /// <summary>
    /// Called for each data source that the journal builds, with its connection string set: for certificates, password providers and the
    /// like. Leave time-outs and pooling as they are.
    /// </summary>
    public Action<NpgsqlDataSourceBuilder>? ConfigureDataSource { get; set; }

    /// <summary>Every event type that is stored or read.</summary>
    public EventCatalogue Events { get; } = new();

    /// <summary>Codecs for the snapshots of views that JSON or Orleans do not write as they are.</summary>
    public ViewCodecs Views { get; } = new();

    /// <summary>A snapshot is made whenever a stream's version passes a multiple of this; default 100.</summary>
    public int SnapshotEvery { get; set; } = 100;

    /// <summary>How often a command is decided again after a conflict that the journal has given; default 8.</summary>
    public int MaxConflicts { get; set; } = 8;

    /// <summary>Most events, and questions, that one call carries; default 1,000. One append is never divided.</summary>
    public int BatchEvents { get; set; } = 1_000;

    /// <summary>Most bytes of events that one call carries; default 4 MiB. One append is never divided.</summary>
    public long BatchBytes { get; set; } = 4 << 20;

    /// <summary>
    /// Where other silos append as well, the writer gathers its next batch for as long as its last call took, but no longer than this;
    /// default 10 ms. Zero: it always makes the next call at once.
    /// </summary>
    public TimeSpan GatherAtMost { get; set; } = TimeSpan.FromMilliseconds(10);

    /// <summary>Most events, and questions, that wait for the writer in one lane; default 20,000.</summary>
    public int QueueEvents { get; set; } = 20_000;

    /// <summary>Most bytes of events that wait for the writer in one lane; default 64 MiB.</summary>
    public long QueueBytes { get; set; } = 64 << 20;

    /// <summary>How long an append waits for room in a full queue before it is told that the journal is overloaded; default 1 s.</summary>
    public TimeSpan QueueWait { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// How long an append or a question may take in all, lost calls and their repetitions included; default 20 s. Shorter than the time
    /// after which Orleans gives up a grain call or a deactivation (30 s each by default), so that every caller hears an outcome.
    /// </summary>
    public TimeSpan WriteBudget { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>How long the writer waits for the reply to a call before it drops the connection and repeats it; default 5 s.</summary>
    public TimeSpan CallTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a call may wait before the writer looks for a frozen client that holds the journal's head; default 2 s.</summary>
    public TimeSpan HeadPatience { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>How long a read may take; default 10 s.</summary>
    public TimeSpan ReadTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>What is wrong with these settings: a sentence each, which names the setting; empty when all is well.</summary>
    /// <param name="responseTimeout">After which Orleans gives up a grain call.</param>
    /// <param name="deactivationTimeout">After which Orleans abandons a deactivation.</param>
    public IReadOnlyList<string> FindProblems(TimeSpan responseTimeout, TimeSpan deactivationTimeout)
    {
        var problems = new List<string>();
        Require(!string.IsNullOrWhiteSpace(ConnectionString), nameof(ConnectionString), "is missing");
        AtLeastOne(BatchEvents, nameof(BatchEvents));
        AtLeastOne(BatchBytes, nameof(BatchBytes));
        AtLeastOne(QueueEvents, nameof(QueueEvents));
        AtLeastOne(QueueBytes, nameof(QueueBytes));
        AtLeastOne(SnapshotEvery, nameof(SnapshotEvery));
        AtLeastOne(MaxConflicts, nameof(MaxConflicts));
        Require(GatherAtMost >= TimeSpan.Zero, nameof(GatherAtMost), "must not be negative");
        Require(GatherAtMost < CallTimeout, nameof(GatherAtMost), $"must be shorter than {nameof(CallTimeout)} ({CallTimeout})");
        Require(QueueWait >= TimeSpan.Zero, nameof(QueueWait), "must not be negative");
        Require(HeadPatience > TimeSpan.Zero, nameof(HeadPatience), "must be longer than nothing");
        Require(ReadTimeout > TimeSpan.Zero, nameof(ReadTimeout), "must be longer than nothing");
        Require(CallTimeout > HeadPatience, nameof(CallTimeout),
            $"must be longer than {nameof(HeadPatience)} ({HeadPatience}), or a frozen holder of the head is never found");
        Require(WriteBudget > CallTimeout, nameof(WriteBudget),
            $"must be longer than {nameof(CallTimeout)} ({CallTimeout}), or a lost call is never repeated");
        Require(WriteBudget < responseTimeout, nameof(WriteBudget), $"must be shorter than Orleans' ResponseTimeout ({responseTimeout})");
        Require(WriteBudget < deactivationTimeout, nameof(WriteBudget),
            $"must be shorter than Orleans' DeactivationTimeout ({deactivationTimeout})");
        return problems;

        void AtLeastOne(long value, string setting) => Require(value >= 1, setting, $"must be at least 1, not {value}");

        void Require(bool condition, string setting, string what)
        {
            if (!condition)
                problems.Add($"{nameof(PostgresJournalOptions)}.{setting} {what}.");
        }
    }
}
