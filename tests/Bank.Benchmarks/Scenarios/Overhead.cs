using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

/// <summary>
/// Processor time of the bank's process for each deposit, in three processes of one bank each: one that neither measures nor is looked at,
/// one whose traces are sent and whose metrics are scraped, and one whose dashboard is open in a browser.
/// </summary>
internal sealed class Overhead : Scenario
{
    private const int Connections = 64;
    private const int Pairs = 15;

    // Processor time per deposit was seen to fall by half over ten rounds, while everything was being compiled.
    private const int WarmUps = 5;

    private static readonly (string Name, string Value) Silent = ("OTEL_SDK_DISABLED", "true");

    public override string Name => "overhead";

    public override string About => "what telemetry and an open dashboard add to a deposit's processor time, in 15 pairs; only by name";

    public override bool OnlyByName => true;

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        Wrk.Require();
        const string neither = "neither", telemetry = "telemetry", dashboard = "dashboard open";
        await using var collector = await Collector.StartAsync(cancellation);
        await using var plain = await BankOverHttp.StartAsync(postgres, comparison, cancellation, Silent);
        plain.Freeze();
        await using var measured = await BankOverHttp.StartAsync(
            postgres, comparison, cancellation,
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.Address), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"));
        measured.Freeze();
        // Whoever has been looked at goes on counting for a while, so it must be another one; a quick run saves the time.
        await using var other = comparison.Pace.IsQuick
            ? null : await BankOverHttp.StartAsync(postgres, comparison, cancellation, Silent);
        other?.Freeze();
        var shown = other ?? plain;

        using var scrape = new Visitor(measured.Address, TimeSpan.FromSeconds(5), ["metrics"]);
        const string others =
            "?exclude=Orleans.Runtime&exclude=Orleans.Streams&exclude=Orleans.Storage&exclude=Orleans.Providers&exclude=Orleans.Dashboard";
        using var page = new Visitor(
            shown.Address, TimeSpan.FromSeconds(1),
            [$"dashboard/DashboardCounters{others}", "dashboard/ClusterStats", $"dashboard/TopGrainMethods{others}"]);
        await comparison.RunAsync(
            [
                plain.Alone(neither, Connections),
                measured.Alone(telemetry, Connections, scrape.VisitAsync),
                shown.Alone(dashboard, Connections, page.VisitAsync),
            ],
            cancellation,
            rounds: Pairs,
            warmUps: WarmUps);
        comparison.Ratio($"{telemetry}, processor, host", $"{neither}, processor, host", "at most 1.05");
        comparison.Ratio($"{dashboard}, processor, host", $"{neither}, processor, host", "at most 1.03");
        comparison.Notes.Add($"the collector was sent {collector.Batches} batches of traces");
        comparison.Notes.Add($"{scrape.Answers} scrapes of {scrape.Bytes / Math.Max(1, scrape.Answers):N0} bytes");
        comparison.Notes.Add($"{page.Answers} answers to the dashboard's page");
        if (!comparison.Pace.IsQuick && collector.Batches == 0)
            throw new InvalidOperationException("No trace was sent, so what it costs was not measured.");
    }
}
