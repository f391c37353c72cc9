using System.Buffers;
using System.Text.Json;

namespace Orleans.EventSourcing.Postgres;

/// <summary>The confirmed side of an activation: its view, and the state of the stream that this was folded from.</summary>
internal sealed class StreamFold<TView>(TView view)
    where TView : class
{
    public TView View { get; set; } = view;

    public StreamState State { get; private set; }

    /// <summary>Position of the last event; 0 where there is none.</summary>
    public Position LastPosition { get; private set; }

    /// <summary>When the first event was recorded; meaningless at version 0.</summary>
    public DateTimeOffset FirstRecordedAt { get; private set; }

    /// <summary>When the last event was recorded; meaningless at version 0.</summary>
    public DateTimeOffset LastRecordedAt { get; private set; }

    /// <summary>Notes where the view stands after events were folded into it.</summary>
    public void Advance(StreamState state, Position position, DateTimeOffset recordedAt)
    {
        if (State.Version == 0)
            FirstRecordedAt = recordedAt;
        (State, LastPosition, LastRecordedAt) = (state, position, recordedAt);
    }

    /// <summary>The snapshot's JSON: the view, and what the stream's earlier events would have told of themselves.</summary>
    public ReadOnlyMemory<byte> ToSnapshot(ViewCodec<TView> codec)
    {
        var view = codec.Encode(View);
        var buffer = new ArrayBufferWriter<byte>(view.Length + 80);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("first_recorded_at"u8, FirstRecordedAt);
            json.WritePropertyName("view"u8);
            json.WriteRawValue(view.Span, skipInputValidation: true);
            json.WriteEndObject();
        }

        return buffer.WrittenMemory;
    }

    /// <summary>The fold that a snapshot holds; a second call gives a view of its own.</summary>
    /// <exception cref="JsonException">The snapshot cannot be read: replay instead.</exception>
    public static StreamFold<TView> FromSnapshot(Snapshot snapshot, RecordedEvent at, ViewCodec<TView> codec)
    {
        using var document = JsonDocument.Parse(snapshot.Data);
        var root = document.RootElement;
        if (!root.TryGetProperty("first_recorded_at"u8, out var first) || !root.TryGetProperty("view"u8, out var view))
            throw new JsonException("not a snapshot");
        return new StreamFold<TView>(codec.Decode(System.Text.Encoding.UTF8.GetBytes(view.GetRawText())))
        {
            State = snapshot.State,
            LastPosition = at.Position,
            FirstRecordedAt = first.GetDateTimeOffset(),
            LastRecordedAt = at.RecordedAt,
        };
    }
}
