namespace Bank.Deploy.Tests;

/// <summary>What an instrument becomes in a scrape.</summary>
public enum InstrumentKind
{
    Gauge,
    Counter,
    Histogram,
}

/// <summary>
/// An instrument that operators rely on: the rules and dashboards in deploy/observability name those of <see cref="All"/> and no others,
/// and a scrape of a silo and a gateway has them.
/// </summary>
/// <param name="Name">Its name in the code.</param>
/// <param name="Kind">What it becomes.</param>
/// <param name="Unit">In the notation of UCUM; none where it stands in braces, which only describe.</param>
/// <param name="BetweenSilos">It is in a scrape where there are several silos.</param>
public sealed record Instrument(string Name, InstrumentKind Kind, string Unit = "", bool BetweenSilos = false)
{
    /// <summary>Every one of them.</summary>
    public static IReadOnlyList<Instrument> All { get; } =
    [
        new("bank.commands", InstrumentKind.Counter),
        new("journal.append.duration", InstrumentKind.Histogram, "s"),
        new("journal.batch.size", InstrumentKind.Histogram),
        new("journal.queue.length", InstrumentKind.Gauge),
        new("journal.calls.lost", InstrumentKind.Counter),
        new("journal.snapshots.saved", InstrumentKind.Counter),
        new("journal.snapshots.dropped", InstrumentKind.Counter),
        new("projection.lag.events", InstrumentKind.Gauge),
        new("projection.lag", InstrumentKind.Gauge, "s"),
        new("projection.parked", InstrumentKind.Gauge),
        new("saga.open", InstrumentKind.Gauge),
        new("saga.overdue", InstrumentKind.Gauge),
        new("saga.behind", InstrumentKind.Gauge, "s"),
        new("http.server.request.duration", InstrumentKind.Histogram, "s"),
        new("kestrel.active_connections", InstrumentKind.Gauge),
        new("orleans-app-requests-latency", InstrumentKind.Histogram, "ms"),
        new("orleans-catalog-activations", InstrumentKind.Gauge),
        new("orleans-client-connected-gateways", InstrumentKind.Gauge),
        new("orleans-messaging-pings-sent", InstrumentKind.Counter, BetweenSilos: true),
        new("orleans-messaging-pings-reply-received", InstrumentKind.Counter, BetweenSilos: true),
        new("db.client.connection.count", InstrumentKind.Gauge),
        new("db.client.connection.max", InstrumentKind.Gauge),
        new("dotnet.thread_pool.queue.length", InstrumentKind.Counter),
        new("dotnet.gc.pause.time", InstrumentKind.Counter, "s"),
        new("dotnet.process.cpu.time", InstrumentKind.Counter, "s"),
        new("dotnet.process.cpu.count", InstrumentKind.Gauge),
        new("dotnet.process.memory.working_set", InstrumentKind.Gauge, "By"),
    ];

    /// <summary>The names of its series in a scrape, as OpenTelemetry's exporter for Prometheus makes them.</summary>
    public IReadOnlyList<string> Series
    {
        get
        {
            var unit = Unit switch
            {
                "s" => "_seconds",
                "ms" => "_milliseconds",
                "By" => "_bytes",
                _ => "",
            };
            var name = string.Concat(Name.Select(letter => char.IsAsciiLetterOrDigit(letter) ? letter : '_')) + unit;
            return Kind switch
            {
                InstrumentKind.Counter => [$"{name}_total"],
                InstrumentKind.Histogram => [$"{name}_bucket", $"{name}_sum", $"{name}_count"],
                _ => [name],
            };
        }
    }
}
