using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;

namespace Bank.Benchmarks.Parties;

/// <summary>A collector of OpenTelemetry's that takes the traces that it is sent and forgets them.</summary>
internal sealed class Collector : IAsyncDisposable
{
    private readonly WebApplication _app;
    private int _batches;

    private Collector()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.MapPost("/v1/traces", TakeAsync);
    }

    public string Address => _app.Urls.First();

    /// <summary>How often it was sent traces.</summary>
    public int Batches => Volatile.Read(ref _batches);

    public static async Task<Collector> StartAsync(CancellationToken cancellation)
    {
        var collector = new Collector();
        await collector._app.StartAsync(cancellation);
        return collector;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private Task TakeAsync(HttpContext http)
    {
        Interlocked.Increment(ref _batches);
        http.Response.ContentType = "application/x-protobuf";
        return http.Request.Body.CopyToAsync(Stream.Null, http.RequestAborted);
    }
}
