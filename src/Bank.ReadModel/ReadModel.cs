using Npgsql;
using Orleans.EventSourcing.Postgres;

namespace Bank.ReadModel;

/// <summary>One thing that was looked for.</summary>
/// <param name="Value">Null where there is none.</param>
/// <param name="AsOf">Everything up to this position is in the answer.</param>
public sealed record Found<T>(T? Value, Position AsOf)
    where T : class;

/// <summary>A page of a list.</summary>
/// <param name="Items">In the order of the list.</param>
/// <param name="NextCursor">Asks for the page after this one; null on the last page.</param>
/// <param name="AsOf">Everything up to this position is in the answer.</param>
public sealed record Page<T>(IReadOnlyList<T> Items, string? NextCursor, Position AsOf);

/// <summary>The tables do not hold a position yet that the reader must see: try again later.</summary>
public sealed class ReadModelBehindException(string projection)
    : Exception($"The read model {projection} is behind, and did not catch up in time.")
{
    /// <summary>Which one.</summary>
    public string Projection => projection;
}

/// <summary>What all queries have in common: connections, and the wait before a read.</summary>
/// <param name="database">See <see cref="Connect"/>.</param>
/// <param name="waits">How far the projections are.</param>
public sealed class ReadModels(NpgsqlDataSource database, ProjectionWaits waits) : IAsyncDisposable
{
    /// <summary>How long a query waits at most for what its reader must see.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    internal NpgsqlDataSource Database => database;

    /// <summary>Connections for queries: each plan is made once, and uses the indexes whatever size the tables have.</summary>
    /// <param name="connectionString">Of the database, as <c>bank_app</c>.</param>
    public static NpgsqlDataSource Connect(string connectionString)
    {
        var settings = new NpgsqlConnectionStringBuilder(connectionString)
        {
            ApplicationName = "read models",
            NoResetOnClose = true,
            MaxAutoPrepare = 50,
            AutoPrepareMinUsages = 2,
        };
        settings.Options += " -c plan_cache_mode=force_generic_plan -c jit=off -c enable_seqscan=off -c enable_bitmapscan=off"
            + " -c enable_hashjoin=off -c enable_mergejoin=off";
        return new NpgsqlDataSourceBuilder(settings.ConnectionString) { Name = settings.ApplicationName }.Build();
    }

    /// <summary>Closes the connections.</summary>
    public ValueTask DisposeAsync() => database.DisposeAsync();

    internal Partition PartitionOf(string streamId) => waits.PartitionOf(streamId);

    /// <summary>Waits until the tables hold a position; answers up to where they do.</summary>
    /// <exception cref="ReadModelBehindException">They do not in time.</exception>
    internal async Task<Position> WaitAsync(string projection, Partition? partition, Position atLeast) =>
        await waits.ReachedAsync(projection, partition, atLeast, Patience) ?? throw new ReadModelBehindException(projection);

    internal static Position Later(Position reached, long asOf) => reached.Value > asOf ? reached : new(asOf);
}
