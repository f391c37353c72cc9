using System.Buffers;
using System.Buffers.Text;
using System.Text.Json;
using Orleans.Serialization;

namespace Orleans.EventSourcing.Postgres;

/// <summary>Turns events of one CLR type into stored JSON and back.</summary>
/// <param name="Name">Stored name, for ever; 1 to 100 characters.</param>
/// <param name="SchemaVersion">Version of the JSON's shape, from 1.</param>
/// <param name="ClrType">The type in memory.</param>
/// <param name="Encode">To UTF-8 JSON.</param>
/// <param name="Decode">From UTF-8 JSON.</param>
public sealed record EventCodec(
    string Name, short SchemaVersion, Type ClrType, Func<object, ReadOnlyMemory<byte>> Encode, Func<ReadOnlyMemory<byte>, object> Decode);

/// <summary>
/// Every event type that a silo stores or reads, by its stored name and schema version: neither derives from a CLR name, and no type name
/// lies in the data. Filled at start, read-only afterwards.
/// </summary>
public sealed class EventCatalogue
{
    private readonly Dictionary<Type, EventCodec> _byType = [];
    private readonly Dictionary<(string Name, short SchemaVersion), EventCodec> _byName = [];
    private Serializer? _serializer;

    /// <summary>The JSON options of <see cref="Add{TEvent}(string, short)"/>, and of views.</summary>
    public JsonSerializerOptions Json { get; set; } = JsonSerializerOptions.Default;

    /// <summary>Stores <typeparamref name="TEvent"/> as System.Text.Json writes it.</summary>
    /// <exception cref="InvalidOperationException">A member of the type would not survive, or the name or type is there
    /// already.</exception>
    public EventCatalogue Add<TEvent>(string name, short schemaVersion = 1)
        where TEvent : class
    {
        if (JsonContract.FirstLoss(typeof(TEvent), Json) is { } loss)
            throw new InvalidOperationException(
                $"{typeof(TEvent)} cannot be stored as JSON: {loss}. Make it a public property with a setter or a constructor parameter, "
                + $"or give it [GenerateSerializer] and use {nameof(AddWithOrleansCodec)}<{typeof(TEvent).Name}>(\"{name}\").");
        return Add(new EventCodec(
            name,
            schemaVersion,
            typeof(TEvent),
            e => JsonSerializer.SerializeToUtf8Bytes((TEvent)e, Json),
            data => JsonSerializer.Deserialize<TEvent>(data.Span, Json) ?? throw new JsonException($"{name} is null")));
    }

    /// <summary>
    /// Stores a type that only Orleans can serialise: its bytes, in base64, in a JSON envelope <c>{"orleans": "..."}</c>.
    /// </summary>
    public EventCatalogue AddWithOrleansCodec<TEvent>(string name, short schemaVersion = 1)
        where TEvent : class => Add(new EventCodec(
            name,
            schemaVersion,
            typeof(TEvent),
            e => OrleansEnvelope.Write(Serializer.SerializeToArray((TEvent)e)),
            data => Serializer.Deserialize<TEvent>(OrleansEnvelope.Read(data.Span))!));

    /// <summary>Stores a type by a codec of its own.</summary>
    public EventCatalogue Add(EventCodec codec)
    {
        ArgumentNullException.ThrowIfNull(codec);
        if (codec.Name.Length is 0 or > 100 || codec.SchemaVersion < 1)
            throw new InvalidOperationException(
                $"\"{codec.Name}\", {codec.SchemaVersion} is no stored name (1 to 100 characters) and version.");
        if (!_byName.TryAdd((codec.Name, codec.SchemaVersion), codec))
            throw new InvalidOperationException(
                $"The event name {codec.Name}, schema version {codec.SchemaVersion}, stands for two types.");
        if (!_byType.TryAdd(codec.ClrType, codec))
            throw new InvalidOperationException($"{codec.ClrType} has two stored names.");
        return this;
    }

    /// <summary>The codec of an event's own type.</summary>
    /// <exception cref="InvalidOperationException">The type has no stored name.</exception>
    public EventCodec For(object @event) => _byType.TryGetValue(@event.GetType(), out var codec)
        ? codec
        : throw new InvalidOperationException(
            $"{@event.GetType()} has no stored name. Add it: AddPostgresJournal(o => o.Events.Add<{@event.GetType().Name}>(\"name\")).");

    /// <summary>The event that was recorded.</summary>
    /// <exception cref="InvalidOperationException">Its name and schema version are not in the catalogue, or its data cannot be
    /// read.</exception>
    public object Decode(RecordedEvent recorded)
    {
        if (!_byName.TryGetValue((recorded.EventType, recorded.SchemaVersion), out var codec))
            throw new InvalidOperationException(
                $"{recorded.StreamId} version {recorded.Version} is a {recorded.EventType}, schema version {recorded.SchemaVersion}, "
                + "which the catalogue does not know: this build is older than the journal, or a stored name was changed.");
        try
        {
            return codec.Decode(recorded.Data);
        }
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException or KeyNotFoundException)
        {
            throw new InvalidOperationException(
                $"{recorded.StreamId} version {recorded.Version}: the data of this {recorded.EventType} cannot be read: {e.Message}", e);
        }
    }

    internal Serializer Serializer
    {
        get => _serializer ?? throw new InvalidOperationException("The catalogue is not part of a silo yet.");
        set => _serializer = value;
    }
}

/// <summary>Bytes that only Orleans reads, as a JSON document.</summary>
internal static class OrleansEnvelope
{
    public static ReadOnlyMemory<byte> Write(ReadOnlySpan<byte> bytes)
    {
        var buffer = new ArrayBufferWriter<byte>(Base64.GetMaxEncodedToUtf8Length(bytes.Length) + 16);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteBase64String("orleans"u8, bytes);
            json.WriteEndObject();
        }

        return buffer.WrittenMemory;
    }

    public static byte[] Read(ReadOnlySpan<byte> envelope)
    {
        var json = new Utf8JsonReader(envelope);
        return json.Read() && json.Read() && json.ValueTextEquals("orleans"u8) && json.Read()
            ? json.GetBytesFromBase64()
            : throw new JsonException("not an envelope of Orleans' codec");
    }
}
