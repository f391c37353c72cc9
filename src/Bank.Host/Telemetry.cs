using System.Diagnostics;
using Bank.Grains;
using Microsoft.AspNetCore.Routing;
using Npgsql;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Orleans.EventSourcing.Postgres;
using Orleans.Runtime;

namespace Bank.Host;

/// <summary>Metrics at <c>/metrics</c>, and traces, and metrics where asked, to whatever collector the environment names.</summary>
/// <remarks>
/// OpenTelemetry's own variables apply: <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> (none: no traces are sent), <c>OTEL_TRACES_SAMPLER</c> and its
/// argument (by default one trace in a hundred), <c>OTEL_METRICS_EXPORTER</c> (<c>prometheus</c> by default; <c>otlp</c> sends them),
/// <c>OTEL_SERVICE_NAME</c>, <c>OTEL_RESOURCE_ATTRIBUTES</c>, <c>OTEL_SDK_DISABLED</c>. Without a collector,
/// <c>Telemetry__TracesFolder</c> names a folder in which each process writes a file of its spans as JSON.
/// </remarks>
internal static class Telemetry
{
    private const double SampledByDefault = 0.01;

    private const string ExporterSetting = "OTEL_METRICS_EXPORTER";
    private const string Prometheus = "prometheus";
    private const string Otlp = "otlp";
    private const string None = "none";

    // Beginnings of the names of instruments that count each message, look-up, statement or piece of a reply, or walk through all
    // activations, and that no panel or alert asks for.
    private static readonly string[] NotMeasured =
    [
        "orleans-messaging-sent", "orleans-messaging-received", "orleans-messaging-processing", "orleans-messaging-rerouted",
        "orleans-gateway-sent", "orleans-gateway-received", "orleans-directory-lookups", "orleans-directory-cache-size",
        "orleans-streams-persistent-stream-messages", "db.client.operation", "http.server.active_requests",
    ];

    /// <summary>Adds instruments, samplers and exporters.</summary>
    public static IHostApplicationBuilder AddBankTelemetry(this IHostApplicationBuilder builder, Role role)
    {
        var settings = builder.Configuration;
        if (IsOff(settings))
            return builder;
        var hasCollector = !string.IsNullOrEmpty(settings["OTEL_EXPORTER_OTLP_ENDPOINT"]);
        var exporters = MetricsExporters(settings);
        var telemetry = builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource
                .AddService($"bank-{role.ToString().ToLowerInvariant()}", serviceInstanceId: settings["BANK_MEMBER"])
                .AddEnvironmentVariableDetector())
            .WithMetrics(metrics =>
            {
                metrics
                    .AddMeter(BankMetrics.MeterName, EngineTelemetry.Name, "Microsoft.Orleans", "Npgsql")
                    .AddMeter("Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime")
                    .AddView(instrument => NotMeasured.Any(name => instrument.Name.StartsWith(name, StringComparison.Ordinal))
                        ? MetricStreamConfiguration.Drop : null)
                    .SetExemplarFilter(ExemplarFilterType.TraceBased);
                // Each adds up for itself: with both, whatever is recorded is recorded twice.
                if (exporters.Contains(Prometheus))
                    metrics.AddPrometheusExporter();
                if (exporters.Contains(Otlp))
                    metrics.AddOtlpExporter();
            });
        var folder = settings["Telemetry:TracesFolder"];
        // Who sends traces nowhere pays nothing for them.
        if (hasCollector || folder is not null)
            telemetry.WithTracing(traces =>
            {
                traces
                    .AddSource("Microsoft.AspNetCore", TracedCalls.SourceName, EngineTelemetry.Name)
                    .AddNpgsql();
                if (hasCollector)
                    traces.AddOtlpExporter();
                if (folder is not null)
                    traces.AddProcessor(new SimpleActivityExportProcessor(new TraceFile(
                        Path.Combine(Directory.CreateDirectory(folder).FullName, $"{Environment.ProcessId}.jsonl"))));
                if (string.IsNullOrEmpty(settings["OTEL_TRACES_SAMPLER"]))
                    traces.SetSampler(new LinksSampler(new ParentBasedSampler(new TraceIdRatioBasedSampler(SampledByDefault))));
            });
        return builder;
    }

    /// <summary>Whether <c>OTEL_SDK_DISABLED</c> says that nothing is to be measured.</summary>
    public static bool IsOff(IConfiguration settings) => settings.GetValue("OTEL_SDK_DISABLED", false);

    /// <summary>Whether metrics are to be had at <c>/metrics</c>.</summary>
    public static bool IsScraped(IConfiguration settings) => !IsOff(settings) && MetricsExporters(settings).Contains(Prometheus);

    /// <summary>After routing: calls a request's span by its method and its route.</summary>
    public static Task NameRequest(HttpContext http, RequestDelegate next)
    {
        if (Activity.Current is { IsAllDataRequested: true } span && http.GetEndpoint() is RouteEndpoint route)
            span.DisplayName = $"{http.Request.Method} {route.RoutePattern.RawText}";
        return next(http);
    }

    private static string[] MetricsExporters(IConfiguration settings)
    {
        var named = (settings[ExporterSetting] is { Length: > 0 } set ? set : Prometheus)
            .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return named.Except([Prometheus, Otlp, None]).FirstOrDefault() is { } unknown
            ? throw new OrleansConfigurationException(
                $"{ExporterSetting} names \"{unknown}\"; it may name {Prometheus}, {Otlp}, both with a comma between them, or {None}.")
            : named;
    }

    /// <summary>
    /// Samples what is linked to something sampled: a batch is nobody's child, and belongs to each of its commands. A statement that
    /// nobody asked for, such as those of membership, begins no trace.
    /// </summary>
    private sealed class LinksSampler(Sampler others) : Sampler
    {
        public override SamplingResult ShouldSample(in SamplingParameters samplingParameters)
        {
            foreach (var link in samplingParameters.Links ?? [])
                if (link.Context.TraceFlags.HasFlag(ActivityTraceFlags.Recorded))
                    return new(SamplingDecision.RecordAndSample);
            return samplingParameters is { Kind: ActivityKind.Client, ParentContext: { TraceId: var trace } } && trace == default
                ? new(SamplingDecision.Drop)
                : others.ShouldSample(samplingParameters);
        }
    }
}
