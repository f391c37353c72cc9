using Bank.Gateway;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Bank.Host;

/// <summary>
/// Answers for a process with a role that cannot serve yet, at the address where it is going to: it lives, it is not ready, and what it
/// waits for. Whoever looks after the process need not guess how long that may take.
/// </summary>
internal sealed class WaitingRoom : IHostedService, IAsyncDisposable
{
    private readonly WebApplication _app;
    private volatile string _reason = "starting";

    private WaitingRoom(WebApplicationBuilder builder)
    {
        // Whoever waits says so itself, once.
        builder.Logging.ClearProviders();
        builder.Services.AddHealthChecks().AddCheck("process", () => HealthCheckResult.Unhealthy(_reason));
        _app = builder.Build();
        _app.MapBankHealth();
        _app.MapFallback(() => Results.StatusCode(StatusCodes.Status503ServiceUnavailable));
    }

    public static async Task<WaitingRoom> OpenAsync(WebApplicationBuilder builder, CancellationToken cancellation)
    {
        var room = new WaitingRoom(builder);
        await room._app.StartAsync(cancellation);
        return room;
    }

    /// <summary>What it waits for from now on.</summary>
    public void Say(string reason) => _reason = reason;

    /// <summary>As the last of the services to start: the address is the web server's now, which starts after all of them.</summary>
    public Task StartAsync(CancellationToken cancellationToken) => _app.StopAsync(cancellationToken);

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
