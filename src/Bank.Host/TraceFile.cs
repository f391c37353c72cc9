using System.Diagnostics;
using System.Text.Json;
using OpenTelemetry;

namespace Bank.Host;

/// <summary>Writes each span that has ended to a file, one JSON object on a line, in OpenTelemetry's words.</summary>
internal sealed class TraceFile(string path) : BaseExporter<Activity>
{
    private static readonly JsonSerializerOptions Json = new(HostSettings.Json) { WriteIndented = false };
    private readonly StreamWriter _file = new(path, append: true) { AutoFlush = true };

    public override ExportResult Export(in Batch<Activity> batch)
    {
        foreach (var span in batch)
            _file.WriteLine(JsonSerializer.Serialize(
                new
                {
                    TraceId = span.TraceId.ToHexString(),
                    SpanId = span.SpanId.ToHexString(),
                    ParentSpanId = span.ParentSpanId == default ? null : span.ParentSpanId.ToHexString(),
                    Name = span.DisplayName,
                    Scope = span.Source.Name,
                    Kind = span.Kind.ToString().ToLowerInvariant(),
                    Start = span.StartTimeUtc,
                    DurationMs = span.Duration.TotalMilliseconds,
                    Attributes = span.TagObjects.DistinctBy(tag => tag.Key).ToDictionary(tag => tag.Key, tag => tag.Value?.ToString()),
                    Links = span.Links.Select(link => new
                    {
                        TraceId = link.Context.TraceId.ToHexString(),
                        SpanId = link.Context.SpanId.ToHexString(),
                    }),
                },
                Json));
        return ExportResult.Success;
    }

    protected override void Dispose(bool disposing)
    {
        _file.Dispose();
        base.Dispose(disposing);
    }
}
