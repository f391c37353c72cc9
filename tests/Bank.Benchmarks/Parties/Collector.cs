using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;

namespace Bank.Benchmarks.Parties;

/// <summary>A collector of OpenTelemetry's that takes what it is sent and forgets it.</summary>
internal sealed class Collector : IAsyncDisposable
{
    private readonly WebApplication _app;
    private int _traces;
    private int _metrics;

    private Collector()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.MapPost("/v1/traces", http => TakeAsync(http, ref _traces));
        _app.MapPost("/v1/metrics", http => TakeAsync(http, ref _metrics));
    }

    public string Address => _app.Urls.First();

    /// <summary>How often it was sent traces.</summary>
    public int Traces => Volatile.Read(ref _traces);

    /// <summary>How often it was sent metrics.</summary>
    public int Metrics => Volatile.Read(ref _metrics);

    public static async Task<Collector> StartAsync(CancellationToken cancellation)
    {
        var collector = new Collector();
        await collector._app.StartAsync(cancellation);
        return collector;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private static Task TakeAsync(HttpContext http, ref int count)
    {
        Interlocked.Increment(ref count);
        http.Response.ContentType = "application/x-protobuf";
        return http.Request.Body.CopyToAsync(Stream.Null, http.RequestAborted);
    }
}
