using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Orleans.Serialization;
using Orleans.Storage;

namespace Orleans.EventSourcing.Postgres;

/// <summary>The log-consistency provider of a silo: makes an adaptor for each activation, and holds what they share.</summary>
internal sealed class PostgresLogConsistency(
    IJournal journal, PostgresJournalOptions options, Serializer serializer, TimeProvider time, ILogger<PostgresLogConsistency> log)
    : ILogViewAdaptorFactory
{
    private readonly ConcurrentDictionary<Type, object?> _viewCodecs = [];
    // Attributes are read by reflection: too slow for what is activated thousands of times a second.
    private readonly ConcurrentDictionary<Type, JournalStreamAttribute> _streams = [];

    public bool UsesStorageProvider => false;

    public IJournal Journal => journal;

    public EventCatalogue Events => options.Events;

    public int SnapshotEvery => options.SnapshotEvery;

    public int MaxConflicts => options.MaxConflicts;

    public ILogViewAdaptor<TView, TEvent> MakeLogViewAdaptor<TView, TEvent>(
        ILogViewAdaptorHost<TView, TEvent> hostGrain,
        TView initialState,
        string grainTypeName,
        IGrainStorage? grainStorage,
        ILogConsistencyProtocolServices services)
        where TView : class, new()
        where TEvent : class
    {
        var stream = _streams.GetOrAdd(hostGrain.GetType(), JournalStreamAttribute.Of);
        var key = services.GrainId.Key.ToString()!;
        // The key of a Guid is 32 digits inside Orleans; in a journal that people read it has the form that they know.
        if (hostGrain is IGrainWithGuidKey && Guid.TryParseExact(key, "N", out var guid))
            key = guid.ToString("D");
        if (stream.Prefix.Length + 1 + key.Length > 200 || key.Contains('\0', StringComparison.Ordinal))
            throw new InvalidOperationException(
                $"{services.GrainId} cannot have a stream: its name would have more than 200 characters, or a NUL.");
        return new PostgresLogViewAdaptor<TView, TEvent>(hostGrain, $"{stream.Prefix}-{key}", stream, this, services);
    }

    /// <summary>A command that no caller has given an id: nobody can ask for it again.</summary>
    public Command NewCommand() => new(Guid.CreateVersion7(time.GetUtcNow()));

    public NewEvent[] Encode<TEvent>(Command command, IReadOnlyList<TEvent> events)
        where TEvent : class
    {
        var encoded = new NewEvent[events.Count];
        for (var i = 0; i < encoded.Length; i++)
        {
            var codec = options.Events.For(events[i]);
            encoded[i] = new(
                NameBasedGuid.OfEvent(command.Id, i + 1),
                codec.Name,
                codec.SchemaVersion,
                codec.Encode(events[i]),
                EventMetadata.Write(i + 1, encoded.Length, command.Id, command.Hash.Span, command.Context));
        }

        return encoded;
    }

    /// <summary>The codec of a view's snapshots; null where something of the view would be lost, which is said once.</summary>
    public ViewCodec<TView>? CodecOf<TView>()
        where TView : class => (ViewCodec<TView>?)_viewCodecs.GetOrAdd(typeof(TView), static (type, self) =>
        {
            var (codec, reason) = ViewCodec<TView>.Create(self.Options.Views, self.Options.Events.Json, self.Serializer);
            if (codec is null)
                self.Log.ViewHasNoSnapshots(type, reason!);
            return codec;
        }, (Options: options, Serializer: serializer, Log: log));

    public JournalConnectionIssue NextIssue(JournalConnectionIssue? previous)
    {
        var now = time.GetUtcNow().UtcDateTime;
        return new()
        {
            TimeStamp = now,
            TimeOfFirstFailure = previous?.TimeOfFirstFailure ?? now,
            NumberOfConsecutiveFailures = (previous?.NumberOfConsecutiveFailures ?? 0) + 1,
        };
    }
}
