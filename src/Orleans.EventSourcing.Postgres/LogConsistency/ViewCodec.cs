using System.Text.Json;
using Orleans.Serialization;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// Turns a view into a snapshot's JSON and back: by the codec that the catalogue was given for it, else by Orleans where the type has a
/// serialiser of Orleans, else by System.Text.Json where nothing of the type would be lost. Other views have no snapshots: they replay.
/// </summary>
internal sealed class ViewCodec<TView>
    where TView : class
{
    private readonly Func<TView, ReadOnlyMemory<byte>> _encode;
    private readonly Func<ReadOnlyMemory<byte>, TView?> _decode;

    private ViewCodec(Func<TView, ReadOnlyMemory<byte>> encode, Func<ReadOnlyMemory<byte>, TView?> decode) =>
        (_encode, _decode) = (encode, decode);

    public ReadOnlyMemory<byte> Encode(TView view) => _encode(view);

    public TView Decode(ReadOnlyMemory<byte> data) => _decode(data) ?? throw new JsonException("a view is never null");

    /// <summary>The codec, or why there is none.</summary>
    public static (ViewCodec<TView>? Codec, string? Reason) Create(ViewCodecs registered, JsonSerializerOptions json, Serializer serializer)
    {
        if (registered.Find<TView>() is { } own)
            return (new(own.Encode, own.Decode), null);
        if (Attribute.IsDefined(typeof(TView), typeof(GenerateSerializerAttribute)))
            return (new(
                view => OrleansEnvelope.Write(serializer.SerializeToArray(view)),
                data => serializer.Deserialize<TView>(OrleansEnvelope.Read(data.Span))), null);
        return JsonContract.FirstLoss(typeof(TView), json) is { } loss
            ? (null, loss)
            : (new(
                view => JsonSerializer.SerializeToUtf8Bytes(view, json),
                data => JsonSerializer.Deserialize<TView>(data.Span, json)), null);
    }
}

/// <summary>Codecs that were given for views.</summary>
public sealed class ViewCodecs
{
    private readonly Dictionary<Type, object> _byType = [];

    /// <summary>Snapshots <typeparamref name="TView"/> by a codec of its own.</summary>
    /// <param name="encode">To UTF-8 JSON.</param>
    /// <param name="decode">From UTF-8 JSON.</param>
    public ViewCodecs Add<TView>(Func<TView, ReadOnlyMemory<byte>> encode, Func<ReadOnlyMemory<byte>, TView> decode)
        where TView : class
    {
        _byType[typeof(TView)] = (encode, decode);
        return this;
    }

    internal (Func<TView, ReadOnlyMemory<byte>> Encode, Func<ReadOnlyMemory<byte>, TView> Decode)? Find<TView>()
        where TView : class =>
        _byType.TryGetValue(typeof(TView), out var found)
            ? ((Func<TView, ReadOnlyMemory<byte>>, Func<ReadOnlyMemory<byte>, TView>))found
            : null;
}
