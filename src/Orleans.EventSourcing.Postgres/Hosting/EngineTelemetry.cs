using System.Diagnostics;

namespace Orleans.EventSourcing.Postgres;

/// <summary>What a collector asks for.</summary>
public static class EngineTelemetry
{
    /// <summary>Name of the engine's meter and of its activity source.</summary>
    public const string Name = "Orleans.EventSourcing.Postgres";

    internal static ActivitySource Source { get; } = new(Name);

    /// <summary>
    /// Starts a span for work that follows from events, later and perhaps elsewhere: nobody's child, and linked to each command of
    /// theirs that is traced.
    /// </summary>
    /// <returns>Null where none is traced, or nobody listens.</returns>
    public static Activity? Follow(string name, IReadOnlyList<RecordedEvent> events) =>
        Follow(name, ActivityKind.Internal, events, EventMetadata.TraceOf);

    /// <summary>The same for items of another kind, of which <paramref name="traceOf"/> says what each is part of.</summary>
    internal static Activity? Follow<T>(string name, ActivityKind kind, IEnumerable<T> items, Func<T, ActivityContext> traceOf)
    {
        if (!Source.HasListeners())
            return null;
        HashSet<ActivityContext>? traces = null;
        foreach (var item in items)
            if (traceOf(item) is var trace && trace.TraceId != default)
                (traces ??= []).Add(trace);
        if (traces is null)
            return null;
        // A parent would be taken from whatever happened to start this worker, or to open this feed.
        var current = Activity.Current;
        Activity.Current = null;
        var following = Source.StartActivity(name, kind, default(ActivityContext), links: traces.Select(trace => new ActivityLink(trace)));
        if (following is null)
            Activity.Current = current;
        return following;
    }
}
