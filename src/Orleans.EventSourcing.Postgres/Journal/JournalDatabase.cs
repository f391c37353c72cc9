using System.Diagnostics;
using Npgsql;

namespace Orleans.EventSourcing.Postgres;

/// <summary>The journal's connections to its database, made from one connection string.</summary>
internal sealed class JournalDatabase : IAsyncDisposable
{
    public JournalDatabase(PostgresJournalOptions options)
    {
        Appends = Build(options, new(options.ConnectionString)
        {
            ApplicationName = "journal appends",
            Pooling = false,
            Multiplexing = false,
            // No time-out of Npgsql's: each would ask the server to cancel (see AppendConnection). Connecting has one, which drops.
            CommandTimeout = 0,
            Timeout = (int)Math.Ceiling(options.CallTimeout.TotalSeconds),
            // Npgsql's own keep-alive works between calls only; the kernel's notices a peer that is gone during one.
            TcpKeepAlive = true,
            TcpKeepAliveTime = 2,
            TcpKeepAliveInterval = 1,
            // A commit whose standby is not waited for any more is told by a warning, and must be.
            Options = $"{new NpgsqlConnectionStringBuilder(options.ConnectionString).Options} -c client_min_messages=warning",
        });
        Reads = BuildReads(options);
    }

    /// <summary>For the writer's dedicated connection.</summary>
    public NpgsqlDataSource Appends { get; }

    /// <summary>For everything else.</summary>
    public NpgsqlDataSource Reads { get; }

    /// <summary>Pooled connections that neither scan the journal's tables nor compile queries.</summary>
    public static NpgsqlDataSource BuildReads(PostgresJournalOptions options) =>
        Build(options, new(options.ConnectionString)
        {
            ApplicationName = "journal reads",
            Multiplexing = false,
            CommandTimeout = (int)Math.Ceiling(options.ReadTimeout.TotalSeconds),
            Timeout = (int)Math.Ceiling(options.ReadTimeout.TotalSeconds),
            MaxAutoPrepare = 20,
            AutoPrepareMinUsages = 2,
            Options = WithPinnedPlans(options),
        });

    /// <summary>For fences, which are rare: a connection for each, and no pool that nobody would see fill up.</summary>
    public static NpgsqlDataSource BuildFences(PostgresJournalOptions options) =>
        Build(options, new(options.ConnectionString)
        {
            ApplicationName = "journal fences",
            Pooling = false,
            Multiplexing = false,
            CommandTimeout = (int)Math.Ceiling(options.ReadTimeout.TotalSeconds),
            Timeout = (int)Math.Ceiling(options.ReadTimeout.TotalSeconds),
            Options = WithPinnedPlans(options),
        });

    /// <summary>For the tailer's one connection, which listens and reads.</summary>
    public static NpgsqlDataSource BuildTail(PostgresJournalOptions options) =>
        Build(options, new(options.ConnectionString)
        {
            ApplicationName = "journal tail",
            Pooling = false,
            Multiplexing = false,
            Timeout = (int)Math.Ceiling(options.ReadTimeout.TotalSeconds),
            // A peer that is gone is noticed by the kernel while the connection listens, and by these two while it reads. Npgsql's
            // keep-alive is not needed: the slow poll is a query on the same connection.
            TcpKeepAlive = true,
            TcpKeepAliveTime = 2,
            TcpKeepAliveInterval = 1,
            CommandTimeout = 3,
            CancellationTimeout = -1,
            MaxAutoPrepare = 5,
            AutoPrepareMinUsages = 2,
            Options = WithPinnedPlans(options),
        });

    /// <summary>Likewise, for what projections read and write.</summary>
    public static NpgsqlDataSource BuildProjections(PostgresJournalOptions options, ProjectionOptions projections) =>
        Build(options, new(options.ConnectionString)
        {
            ApplicationName = "projections",
            Multiplexing = false,
            CommandTimeout = (int)Math.Ceiling(projections.CommandTimeout.TotalSeconds),
            MaxAutoPrepare = 200,
            AutoPrepareMinUsages = 2,
            // Rows and checkpoint are lost together or not at all, and what is lost is applied again: none of these commits has to wait for
            // the disk. Pages count for nothing, since in a small table it looks cheaper to read an index from end to end than to look a
            // batch's rows up in it, and a plan that was made then stays until the table is analysed.
            Options = $"{WithPinnedPlans(options)} -c synchronous_commit=off -c random_page_cost=0",
        });

    public async ValueTask DisposeAsync()
    {
        await Appends.DisposeAsync();
        await Reads.DisposeAsync();
    }

    // A plan that was cached while the tables were small would scan them when they have grown.
    private static string WithPinnedPlans(PostgresJournalOptions options) =>
        $"{new NpgsqlConnectionStringBuilder(options.ConnectionString).Options} -c jit=off -c enable_seqscan=off"
            + " -c enable_bitmapscan=off -c enable_hashjoin=off -c enable_mergejoin=off";

    private static bool IsTraced => Activity.Current is { Recorded: true };

    private static NpgsqlDataSource Build(PostgresJournalOptions options, NpgsqlConnectionStringBuilder settings)
    {
        // What metrics call its pool; by default that is the connection string.
        var builder = new NpgsqlDataSourceBuilder(settings.ConnectionString) { Name = settings.ApplicationName };
        // A statement is traced when whoever asks for it is: those of loops that run all the time would each begin a trace, to be sampled.
        builder.ConfigureTracing(tracing => tracing.ConfigureCommandFilter(_ => IsTraced).ConfigureBatchFilter(_ => IsTraced));
        options.ConfigureDataSource?.Invoke(builder);
        return builder.Build();
    }
}
