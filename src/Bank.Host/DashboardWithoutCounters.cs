namespace Bank.Host;

/// <summary>
/// Ends the dashboard's list of a silo's counters once the silo is active. For that list all of Orleans' instruments would record every
/// message, and walk through all that the directory's cache holds once a second; <c>/metrics</c> tells what matters of it.
/// </summary>
internal sealed class DashboardWithoutCounters(IAsyncDisposable dashboard) : IHostedService
{
    /// <summary>Adds it, after the dashboard.</summary>
    /// <exception cref="InvalidOperationException">This version of the dashboard collects by something else.</exception>
    public static void AddTo(IServiceCollection services)
    {
        var type = services.Select(service => service.ServiceType).Single(type => type.FullName == "Orleans.Dashboard.DashboardHost");
        services.AddSingleton<IHostedService>(
            provider => new DashboardWithoutCounters((IAsyncDisposable)provider.GetRequiredService(type)));
    }

    /// <summary>All that the dashboard's host holds, and gives up when it is disposed, is what collects.</summary>
    public Task StartAsync(CancellationToken cancellationToken) => dashboard.DisposeAsync().AsTask();

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
