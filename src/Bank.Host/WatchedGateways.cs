using Bank.Gateway;
using Orleans.Messaging;
using Orleans.Runtime.Membership;

namespace Bank.Host;

/// <summary>
/// Orleans' list of silos for clients, which it asks for again and again. One that has gone from it is announced, since calls to its grains
/// that went through others wait for an answer that will not come.
/// </summary>
internal sealed class WatchedGateways(AdoNetGatewayListProvider silos, SiloLosses losses) : IGatewayListProvider
{
    private HashSet<Uri> _last = [];

    public TimeSpan MaxStaleness => silos.MaxStaleness;

    public bool IsUpdatable => silos.IsUpdatable;

    public Task InitializeGatewayListProvider() => silos.InitializeGatewayListProvider();

    public async Task<IList<Uri>> GetGateways()
    {
        var now = await silos.GetGateways();
        var lost = !now.ToHashSet().IsSupersetOf(_last);
        _last = [.. now];
        if (lost)
            losses.Announce();
        return now;
    }
}
