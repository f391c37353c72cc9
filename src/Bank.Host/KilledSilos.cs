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
/// <remarks>
/// No grain does this: to find one takes the directory, of which the dead silo may have the part that is needed. And one silo's word is
/// enough here, so a silo that suddenly can reach none of several others says nothing: more likely it is its own network.
/// </remarks>
internal sealed class KilledSilos(IServiceProvider services, ILocalSiloDetails self, TimeProvider time, ILogger<KilledSilos> log)
    : ILifecycleParticipant<ISiloLifecycle>
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <summary>Looks for all silos when a connection has ended: one that the other side made does not say which silo that was.</summary>
    public void Watch(IConnectionBuilder connection) => connection.Use(next => async context =>
    {
        var began = time.GetTimestamp();
        try
        {
            await next(context);
        }
        finally
        {
            // Shorter ones are made by looking, here or there, and one look must not lead to the next.
            if (time.GetElapsedTime(began) > Patience)
                _ = LookAsync(joins: false);
        }
    });

    /// <summary>A silo that joins looks too: where every silo was killed, nobody else is there to lose a connection.</summary>
    public void Participate(ISiloLifecycle lifecycle) => lifecycle.Subscribe(
        nameof(KilledSilos), ServiceLifecycleStage.Active, _ => LookAsync(joins: true), _ => Task.CompletedTask);

    internal async Task LookAsync(bool joins)
    {
        IClusterMembershipService cluster;
        try
        {
            // Not taken before: what it is made of has connections.
            cluster = services.GetRequiredService<IClusterMembershipService>();
        }
        catch (ObjectDisposedException)
        {
            // This silo is at its end, and with it its connections.
            return;
        }

        var others = cluster.CurrentSnapshot.Members.Values
            .Where(member => member.Status == SiloStatus.Active && !member.SiloAddress.Equals(self.SiloAddress))
            .Select(member => member.SiloAddress).ToList();
        var refuse = await Task.WhenAll(others.Select(RefusesTwiceAsync));
        var gone = others.Where((_, i) => refuse[i]).ToList();
        if (joins || gone.Count <= 1 || gone.Count < others.Count)
            await Task.WhenAll(gone.Select(silo => DeclareDeadAsync(cluster, silo)));
    }

    private async Task DeclareDeadAsync(IClusterMembershipService cluster, SiloAddress silo)
    {
        try
        {
            Log.SiloIsGone(log, silo);
            await cluster.TryKill(silo);
        }
        catch (Exception e)
        {
            // Nobody waits for this; the probes find out, later.
            Log.SiloNotDeclaredDead(log, silo, e);
        }
    }

    // A wrong death costs no money, but the time of all its accounts.
    private async Task<bool> RefusesTwiceAsync(SiloAddress silo)
    {
        if (!await RefusesAsync(silo.Endpoint))
            return false;
        await Task.Delay(Pause, time);
        return await RefusesAsync(silo.Endpoint);
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
