using System.Globalization;
using Npgsql;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// A read model: its tables, and how the events of a partition change their rows. The runtime calls it for some hundred events at a time,
/// from any thread, and commits the rows together with the partition's checkpoint: each event is written exactly once.
/// </summary>
/// <remarks>
/// Partitions write at the same time. Rows that several of them write (a transfer has steps in three) are written in an order that all
/// keep to, such as that of their ids, so that no two wait for each other.
/// </remarks>
public abstract class Projection
{
    /// <summary>Lower-case letters, digits and underscores, at most 40; it never changes.</summary>
    public abstract string Name { get; }

    /// <summary>
    /// Grows whenever the same events would make other rows or tables. Where it has grown, the host fills new tables from the whole journal
    /// while the old ones serve, and swaps them.
    /// </summary>
    public abstract int FoldVersion { get; }

    /// <summary>Stored names of the events that it is about; it never sees others.</summary>
    public abstract IReadOnlySet<string> EventTypes { get; }

    /// <summary>Names of its tables, without schema. Queries read the views of these names in <c>readmodel</c>.</summary>
    public abstract IReadOnlyList<string> Tables { get; }

    /// <summary>
    /// How the tables of the fold version before are written, so that they stay live while this one is filled; null where they may stand
    /// still until then.
    /// </summary>
    public virtual Projection? Predecessor => null;

    /// <summary>The statements that make the tables and indexes of a generation.</summary>
    public abstract string Create(ProjectionTables tables);

    /// <summary>Adds the statements that the events make; one round trip carries them all.</summary>
    /// <param name="events">At least one, of one partition, in order.</param>
    /// <param name="batch">Takes the statements.</param>
    /// <exception cref="Exception">Whatever it throws is held against an event, which then parks the partition.</exception>
    public abstract void Write(IReadOnlyList<RecordedEvent> events, ProjectionBatch batch);
}

/// <summary>The tables of one generation, which are written by these names.</summary>
/// <param name="Generation">Number of the fill.</param>
public readonly record struct ProjectionTables(int Generation)
{
    /// <summary>The full name of a table in this generation.</summary>
    public string this[string table] => string.Create(CultureInfo.InvariantCulture, $"readmodel.{table}_{Generation}");

    /// <summary>A name for an index, which is unique in its schema.</summary>
    public string Index(string name) => string.Create(CultureInfo.InvariantCulture, $"{name}_{Generation}");
}

/// <summary>Collects what some events write.</summary>
public sealed class ProjectionBatch
{
    private readonly NpgsqlBatch _batch;

    internal ProjectionBatch(NpgsqlBatch batch, Partition partition, ProjectionTables tables) =>
        (_batch, Partition, Tables) = (batch, partition, tables);

    /// <summary>The partition whose events these are.</summary>
    public Partition Partition { get; }

    /// <summary>The tables to write.</summary>
    public ProjectionTables Tables { get; }

    /// <summary>Adds a statement with parameters <c>$1</c>, <c>$2</c>, ...</summary>
    public void Add(string sql, params ReadOnlySpan<NpgsqlParameter> parameters)
    {
        var command = new NpgsqlBatchCommand(sql);
        foreach (var parameter in parameters)
            command.Parameters.Add(parameter);
        _batch.BatchCommands.Add(command);
    }

    /// <summary>A column of rows as an array, for <c>unnest</c>.</summary>
    public static NpgsqlParameter Column<TRow, T>(IEnumerable<TRow> rows, Func<TRow, T> value) =>
        new NpgsqlParameter<T[]> { TypedValue = [.. rows.Select(value)] };

    /// <summary>A single value.</summary>
    public static NpgsqlParameter Value<T>(T value) => new NpgsqlParameter<T> { TypedValue = value };
}
