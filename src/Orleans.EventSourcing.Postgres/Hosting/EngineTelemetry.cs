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
    public static Activity? Follow(string name, IEnumerable<RecordedEvent> events)
    {
        if (!Source.HasListeners())
            return null;
        var links = events.Select(EventMetadata.TraceOf).Where(trace => trace != default).Distinct()
            .Select(trace => new ActivityLink(trace)).ToList();
        if (links.Count == 0)
            return null;
        // A parent would be taken from whatever happened to start this worker, or to open this feed.
        var current = Activity.Current;
        Activity.Current = null;
        var following = Source.StartActivity(name, ActivityKind.Internal, default(ActivityContext), links: links);
        if (following is null)
            Activity.Current = current;
        return following;
    }
}
