using System.Diagnostics;

namespace Orleans.EventSourcing.Postgres;

/// <summary>What a collector asks for.</summary>
public static class EngineTelemetry
{
    /// <summary>Name of the engine's meter and of its activity source.</summary>
    public const string Name = "Orleans.EventSourcing.Postgres";

    internal static ActivitySource Source { get; } = new(Name);
}
