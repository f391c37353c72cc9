using System.Net.Sockets;
using Bank.Contracts;
using Microsoft.Extensions.Logging;
using Orleans.Concurrency;
using Orleans.Runtime;

namespace Bank.Grains;

/// <summary>
/// A killed silo is suspected only after probes have failed for seconds, and meanwhile whoever looks for a grain in its part of the grain
/// directory waits, wherever the grain is. But its machine refuses connections to its port at once, which no silo that lives does, frozen
/// or not; so that is asked. Where the machine is gone too nobody refuses, and the probes have to find out.
/// </summary>
[StatelessWorker(1)]
[GrainType("roll_call")]
public sealed class RollCallGrain(
    IClusterMembershipService cluster, ILocalSiloDetails self, TimeProvider time, ILogger<RollCallGrain> log) : Grain, IRollCallGrain
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    public Task Call() => Task.WhenAll(
        from member in cluster.CurrentSnapshot.Members.Values
        where member.Status == SiloStatus.Active && !member.SiloAddress.Equals(self.SiloAddress)
        select LookAsync(member.SiloAddress));

    private async Task LookAsync(SiloAddress silo)
    {
        if (!await RefusesAsync(silo))
            return;
        // A wrong death costs no money, but the time of all its accounts: so twice.
        await Task.Delay(Pause, time);
        if (!await RefusesAsync(silo))
            return;
        log.SiloIsGone(silo);
        await cluster.TryKill(silo);
    }

    private async Task<bool> RefusesAsync(SiloAddress silo)
    {
        using var socket = new Socket(silo.Endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        using var end = new CancellationTokenSource(Patience, time);
        try
        {
            await socket.ConnectAsync(silo.Endpoint, end.Token);
            return false;
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode == SocketError.ConnectionRefused;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }
}
