using Npgsql;

namespace Orleans.EventSourcing.Postgres;

/// <summary>Reads events out of results.</summary>
internal static class RecordedEventReader
{
    /// <summary>The columns that <see cref="Read"/> expects, in order, of a table named <c>e</c>.</summary>
    public const string Columns =
        "e.position, e.event_id, e.stream_id, e.version, e.event_type, e.schema_version, e.data, e.metadata, e.recorded_at";

    /// <summary>The event of the present row, its columns beginning at <paramref name="first"/>.</summary>
    public static RecordedEvent Read(NpgsqlDataReader reader, int first) => new(
        new Position(reader.GetInt64(first)),
        reader.GetGuid(first + 1),
        reader.GetString(first + 2),
        reader.GetInt64(first + 3),
        reader.GetString(first + 4),
        reader.GetInt16(first + 5),
        reader.GetFieldValue<byte[]>(first + 6),
        reader.GetFieldValue<byte[]>(first + 7),
        reader.GetFieldValue<DateTimeOffset>(first + 8));
}
