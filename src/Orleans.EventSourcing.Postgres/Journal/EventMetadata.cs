using System.Buffers;
using System.Buffers.Text;
using System.Diagnostics;
using System.Text.Json;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// What the engine keeps in an event's metadata: <c>n</c> and <c>of</c> (its place among its command's events, where it is not the only
/// one), <c>command</c> (the command's id, from the second event on: the first one's own id is the command's) and <c>hash</c> (the
/// command's hash, base64url). What the caller adds stands beside them.
/// </summary>
public static class EventMetadata
{
    /// <summary>Writes the metadata of the <paramref name="n"/>th of <paramref name="of"/> events of a command.</summary>
    /// <param name="n">From 1.</param>
    /// <param name="of">Number of events of the command.</param>
    /// <param name="commandId">Id of the command.</param>
    /// <param name="commandHash">Hash of the command; empty where the caller has none.</param>
    /// <param name="context">Name and value of what the caller adds; null values are left out.</param>
    /// <exception cref="ArgumentException">The context has a name that the engine keeps for itself.</exception>
    public static ReadOnlyMemory<byte> Write(
        int n, int of, Guid commandId, ReadOnlySpan<byte> commandHash, IReadOnlyList<KeyValuePair<string, string?>>? context)
    {
        // What a JSON writer asks for at once; hardly any metadata is longer.
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (of > 1)
            {
                json.WriteNumber("n"u8, n);
                json.WriteNumber("of"u8, of);
            }

            if (n > 1)
                json.WriteString("command"u8, commandId);
            if (!commandHash.IsEmpty)
                WriteHash(json, commandHash);
            foreach (var (name, value) in context ?? [])
                if (name is "n" or "of" or "command" or "hash")
                    // PostgreSQL keeps the last of two: what a command is known by would be the caller's.
                    throw new ArgumentException(
                        $"The engine keeps the name \"{name}\" of an event's metadata for itself.", nameof(context));
                else if (value is not null)
                    json.WriteString(name, value);
            json.WriteEndObject();
        }

        return buffer.WrittenMemory;
    }

    /// <summary>The id of the command that recorded the event.</summary>
    /// <exception cref="JsonException">The metadata is not an object.</exception>
    public static Guid CommandIdOf(RecordedEvent recorded) =>
        Find(recorded.Metadata.Span, "command"u8, out var json) ? json.GetGuid() : recorded.EventId;

    /// <summary>Whether the event's command has this hash; two commands without one are not known to be the same.</summary>
    /// <exception cref="JsonException">The metadata is not an object.</exception>
    public static bool HasHash(RecordedEvent recorded, ReadOnlySpan<byte> commandHash) =>
        !commandHash.IsEmpty
        && Find(recorded.Metadata.Span, "hash"u8, out var json)
        && json.ValueTextEquals(Base64Url.EncodeToString(commandHash));

    /// <summary>What was traced when the event was decided, by the caller's <c>traceparent</c>; default where nothing was.</summary>
    internal static ActivityContext TraceOf(RecordedEvent recorded) =>
        // Looked for as bytes first: hardly any event has it.
        recorded.Metadata.Span.IndexOf("\"traceparent\""u8) >= 0
        && Find(recorded.Metadata.Span, "traceparent"u8, out var json)
        && ActivityContext.TryParse(json.GetString(), null, out var trace) ? trace : default;

    private static void WriteHash(Utf8JsonWriter json, ReadOnlySpan<byte> hash)
    {
        var length = Base64Url.GetEncodedLength(hash.Length);
        var encoded = length <= 128 ? stackalloc byte[length] : new byte[length];
        Base64Url.EncodeToUtf8(hash, encoded);
        json.WriteString("hash"u8, encoded);
    }

    private static bool Find(ReadOnlySpan<byte> metadata, ReadOnlySpan<byte> name, out Utf8JsonReader json)
    {
        json = new Utf8JsonReader(metadata);
        if (!json.Read() || json.TokenType != JsonTokenType.StartObject)
            throw new JsonException("an event's metadata is a JSON object");
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            var found = json.ValueTextEquals(name);
            json.Read();
            if (found)
                return true;
            json.Skip();
        }

        return false;
    }
}
