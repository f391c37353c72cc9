using Bank.Contracts;
using Bank.Gateway;
using Orleans.Runtime;

namespace Bank.Host;

/// <summary>
/// What a gateway does when a connection to a silo ends: what waits is asked again, and the others look whether that silo is gone.
/// </summary>
internal sealed class LostConnections(SiloLosses losses, IServiceProvider services, ILogger<LostConnections> log)
{
    public void Handle(object? sender, GatewayCountChangedEventArgs count)
    {
        var isLost = count.NumberOfConnectedGateways < count.PreviousNumberOfConnectedGateways;
        if (isLost)
            losses.Announce();
        // Where all were lost at once, the first that comes back looks.
        if (count.NumberOfConnectedGateways > 0 && (isLost || count.PreviousNumberOfConnectedGateways == 0))
            _ = LookAsync();
    }

    private async Task LookAsync()
    {
        try
        {
            // Not taken before: the client is still being put together when it is given its handlers.
            await services.GetRequiredService<IGrainFactory>().GetGrain<IRollCallGrain>(0).Call();
        }
        catch (Exception e) when (e is OrleansException or TimeoutException or OperationCanceledException)
        {
            // The silos' own probes find out, later.
            Log.NobodyLooked(log, e.Message);
        }
    }
}
