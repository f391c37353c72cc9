using System.Net;
using System.Net.Sockets;

namespace Bank.Host;

/// <summary>Ports of this machine.</summary>
internal static class Ports
{
    /// <summary>Whether somebody could listen there now; by the time that they do, another may be quicker.</summary>
    public static bool IsFree(IPAddress address, int port)
    {
        try
        {
            using var listener = new TcpListener(address, port);
            listener.Start();
            return true;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            return false;
        }
    }

    /// <summary>The preferred port of loopback when it is free, else one that is.</summary>
    public static int PreferredOrFree(int preferred)
    {
        if (preferred > 0 && IsFree(IPAddress.Loopback, preferred))
            return preferred;
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
