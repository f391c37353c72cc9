using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Orleans.Runtime;

namespace Bank.Host;

/// <summary>
/// Finds the silos that were killed. Orleans suspects one only after probes have failed for seconds, and meanwhile whoever looks for a
/// grain in its part of the grain directory waits, wherever the grain is. But its machine ends its connections at once, and refuses new
/// ones to its port, which no silo that lives does, frozen or not. Where the machine is gone too nobody refuses, and the probes have to
/// find out.
/// </summary>
/// <remarks>No grain does this: to find one takes the directory, of which the dead silo may have the part that is needed.</remarks>
internal sealed class KilledSilos(IServiceProvider services, ILocalSiloDetails self, TimeProvider time, ILogger<KilledSilos> log)
    : ILifecycleParticipant<ISiloLifecycle>
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <summary>Looks for all silos when a connection has ended: one that the other side made does not say which silo that was.</summary>
    public void Watch(IConnectionBuilder connection) => connection.Use(next => async context =>
    {
        try
        {
            await next(context);
        }
        finally
        {
            _ = LookAsync();
        }
    });

    /// <summary>A silo that joins looks too: where every silo was killed, nobody else is there to lose a connection.</summary>
    public void Participate(ISiloLifecycle lifecycle) => lifecycle.Subscribe(
        nameof(KilledSilos), ServiceLifecycleStage.Active, _ => LookAsync(), _ => Task.CompletedTask);

    private async Task LookAsync()
    {
        // Not taken before: what it is made of has connections.
        var cluster = services.GetRequiredService<IClusterMembershipService>();
        await Task.WhenAll(
            from member in cluster.CurrentSnapshot.Members.Values
            where member.Status == SiloStatus.Active && !member.SiloAddress.Equals(self.SiloAddress)
            select LookAsync(cluster, member.SiloAddress));
    }

    private async Task LookAsync(IClusterMembershipService cluster, SiloAddress silo)
    {
        try
        {
            if (!await RefusesAsync(silo.Endpoint))
                return;
            // A wrong death costs no money, but the time of all its accounts: so twice.
            await Task.Delay(Pause, time);
            if (!await RefusesAsync(silo.Endpoint))
                return;
            Log.SiloIsGone(log, silo);
            await cluster.TryKill(silo);
        }
        catch (Exception e)
        {
            // Nobody waits for this; the probes find out, later.
            Log.SiloNotDeclaredDead(log, silo, e);
        }
    }

    private async Task<bool> RefusesAsync(IPEndPoint silo)
    {
        using var socket = new Socket(silo.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        using var end = new CancellationTokenSource(Patience, time);
        try
        {
            await socket.ConnectAsync(silo, end.Token);
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
