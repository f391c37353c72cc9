using System.Diagnostics;
using Bank.Grains;
using Npgsql;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Orleans.EventSourcing.Postgres;

namespace Bank.Host;

/// <summary>Metrics at <c>/metrics</c>, and metrics and traces to whatever collector the environment names.</summary>
/// <remarks>
/// OpenTelemetry's own variables apply: <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> (none: nothing is sent), <c>OTEL_TRACES_SAMPLER</c> and its
/// argument (by default one trace in a hundred), <c>OTEL_SERVICE_NAME</c>, <c>OTEL_RESOURCE_ATTRIBUTES</c>.
/// </remarks>
internal static class Telemetry
{
    private const double SampledByDefault = 0.01;

    /// <summary>Adds instruments, samplers and exporters.</summary>
    public static IHostApplicationBuilder AddBankTelemetry(this IHostApplicationBuilder builder, Role role)
    {
        var settings = builder.Configuration;
        var hasCollector = !string.IsNullOrEmpty(settings["OTEL_EXPORTER_OTLP_ENDPOINT"]);
        var telemetry = builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource
                .AddService($"bank-{role.ToString().ToLowerInvariant()}", serviceInstanceId: settings["BANK_MEMBER"])
                .AddEnvironmentVariableDetector())
            .WithMetrics(metrics =>
            {
                metrics
                    .AddMeter(BankMetrics.MeterName, EngineTelemetry.Name, "Microsoft.Orleans", "Npgsql")
                    .AddMeter("Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime")
                    .SetExemplarFilter(ExemplarFilterType.TraceBased)
                    .AddPrometheusExporter();
                if (hasCollector)
                    metrics.AddOtlpExporter();
            });
        // Who sends traces nowhere pays nothing for them.
        if (hasCollector)
            telemetry.WithTracing(traces =>
            {
                traces
                    .AddSource("Microsoft.AspNetCore", "Microsoft.Orleans.Runtime", "Microsoft.Orleans.Application", EngineTelemetry.Name)
                    .AddNpgsql()
                    .AddOtlpExporter();
                if (string.IsNullOrEmpty(settings["OTEL_TRACES_SAMPLER"]))
                    traces.SetSampler(new LinksSampler(new ParentBasedSampler(new TraceIdRatioBasedSampler(SampledByDefault))));
            });
        return builder;
    }

    /// <summary>Samples what is linked to something sampled: a batch is nobody's child, and belongs to each of its commands.</summary>
    private sealed class LinksSampler(Sampler others) : Sampler
    {
        public override SamplingResult ShouldSample(in SamplingParameters samplingParameters)
        {
            foreach (var link in samplingParameters.Links ?? [])
                if (link.Context.TraceFlags.HasFlag(ActivityTraceFlags.Recorded))
                    return new(SamplingDecision.RecordAndSample);
            return others.ShouldSample(samplingParameters);
        }
    }
}
