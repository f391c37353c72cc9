using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace Bank.Testing;

/// <summary>What happens to a request and its reply on the way through a <see cref="TcpProxy"/>.</summary>
public enum Fault
{
    /// <summary>Both pass.</summary>
    None,

    /// <summary>The connection is cut and the server never sees the request.</summary>
    CutBefore,

    /// <summary>The server answers to the end (so it has committed), the client gets nothing, and the connection is cut.</summary>
    CutAfter,

    /// <summary>The server answers to the end, the client gets the first bytes of it, and the connection is cut.</summary>
    CutInReply,

    /// <summary>The server gets the request, the client never hears again, and the connection stays open.</summary>
    Silent,

    /// <summary>Neither side hears from the other again, and the connection stays open.</summary>
    SilentBefore,
}

/// <summary>A request as a <see cref="TcpProxy"/> sees it begin.</summary>
/// <param name="Connection">Number of the connection, from 1.</param>
/// <param name="Number">Number of the request in its connection, from 1; the log-in is not counted.</param>
/// <param name="Start">The first bytes; valid during the call only.</param>
public readonly record struct ProxiedRequest(int Connection, int Number, ReadOnlyMemory<byte> Start);

/// <summary>
/// Stands between Npgsql and PostgreSQL on a port of loopback, and loses what it is told to lose. A request begins with the first
/// bytes after a ReadyForQuery, and its reply ends with the next one.
/// </summary>
public sealed class TcpProxy : IAsyncDisposable
{
    private const int CancelRequestCode = 80877102;

    private readonly TcpListener listener;
    private readonly ConcurrentDictionary<int, Link> links = new();
    private readonly CancellationTokenSource ending = new();
    private readonly EndPoint server;
    private readonly Task accepting;
    private int connections;
    private int requests;
    private int cancelRequests;
    private long bytesToServer;
    private long bytesToClient;

    /// <param name="connectionString">Where the server is.</param>
    /// <param name="address">Where to listen; loopback by default.</param>
    public TcpProxy(string connectionString, IPAddress? address = null)
    {
        listener = new(address ?? IPAddress.Loopback, 0);
        var target = new NpgsqlConnectionStringBuilder(connectionString);
        server = new IPEndPoint(IPAddress.Parse(target.Host!), target.Port);
        listener.Start();
        accepting = AcceptAsync();
    }

    /// <summary>Decides over each request; called on the connection's own thread, in the order of its requests.</summary>
    public Func<ProxiedRequest, Fault> OnRequest { get; set; } = _ => Fault.None;

    /// <summary>How many bytes of a reply pass before <see cref="Fault.CutInReply"/> cuts.</summary>
    public int BytesBeforeCut { get; set; } = 3;

    /// <summary>While true, new connections are closed at once.</summary>
    public bool Refusing { get; set; }

    /// <summary>While true, nothing passes in either direction and nothing is closed; what came meanwhile passes afterwards.</summary>
    public bool Frozen { get; set; }

    /// <summary>The port on which it listens.</summary>
    public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

    /// <summary>Connections accepted so far, and those that are open.</summary>
    public (int Accepted, int Open) Connections => (connections, links.Count);

    /// <summary>Requests seen so far, without log-ins.</summary>
    public int Requests => requests;

    /// <summary>Connections that asked the server to cancel a query.</summary>
    public int CancelRequests => cancelRequests;

    /// <summary>Bytes that passed so far.</summary>
    public (long ToServer, long ToClient) Bytes => (Interlocked.Read(ref bytesToServer), Interlocked.Read(ref bytesToClient));

    /// <summary>The same connection string, through this proxy.</summary>
    public string Through(string connectionString) =>
        new NpgsqlConnectionStringBuilder(connectionString)
        {
            Host = ((IPEndPoint)listener.LocalEndpoint).Address.ToString(),
            Port = Port,
        }.ConnectionString;

    /// <summary>Resets every open connection.</summary>
    public void CutAll()
    {
        foreach (var link in links.Values)
            link.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        await ending.CancelAsync();
        listener.Stop();
        CutAll();
        await accepting;
        while (!links.IsEmpty)
            await Task.Delay(5);
        ending.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!ending.IsCancellationRequested)
        {
            Socket client;
            try
            {
                client = await listener.AcceptSocketAsync(ending.Token);
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }

            var number = Interlocked.Increment(ref connections);
            if (Refusing)
            {
                Reset(client);
                continue;
            }

            var link = new Link(this, number, client);
            links[number] = link;
            _ = link.RunAsync();
        }
    }

    private async Task WhileFrozenAsync()
    {
        while (Frozen)
            await Task.Delay(5, ending.Token);
    }

    // Linger 0 sends RST instead of FIN: the peer learns at once, as from a machine that has lost the connection.
    private static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new(true, 0);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Closed already, which is what was wanted.
        }

        socket.Dispose();
    }

    private sealed class Link(TcpProxy proxy, int number, Socket client) : IDisposable
    {
        private readonly Socket upstream = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        private readonly Lock gate = new();
        private readonly byte[] tail = new byte[6];
        private bool idle;
        private int request;
        private int passedOfReply;
        private Fault fault;

        public async Task RunAsync()
        {
            try
            {
                client.NoDelay = true;
                await upstream.ConnectAsync(proxy.server, proxy.ending.Token);
                await Task.WhenAny(
                    PumpAsync(client, upstream, ToServer),
                    PumpAsync(upstream, client, ToClient));
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
            {
                // The server refuses, or the proxy ends: either way the client is cut below.
            }
            finally
            {
                Dispose();
                proxy.links.TryRemove(number, out _);
            }
        }

        public void Dispose()
        {
            Reset(client);
            Reset(upstream);
        }

        private async Task PumpAsync(Socket from, Socket to, Func<Memory<byte>, (int Pass, bool Cut)> judge)
        {
            var buffer = new byte[64 * 1024];
            try
            {
                while (await from.ReceiveAsync(buffer, SocketFlags.None) is var read and > 0)
                {
                    await proxy.WhileFrozenAsync();
                    var (pass, cut) = judge(buffer.AsMemory(0, read));
                    for (var sent = 0; sent < pass;)
                        sent += await to.SendAsync(buffer.AsMemory(sent..pass), SocketFlags.None);
                    if (cut)
                        return;
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
            {
                // One side is gone; the caller cuts the other.
            }
        }

        private (int Pass, bool Cut) ToServer(Memory<byte> chunk)
        {
            lock (gate)
            {
                if (request == 0 && !idle && chunk.Length == 16 &&
                    BinaryPrimitives.ReadInt32BigEndian(chunk.Span[4..]) == CancelRequestCode)
                    Interlocked.Increment(ref proxy.cancelRequests);

                if (idle)
                {
                    idle = false;
                    passedOfReply = 0;
                    request++;
                    Interlocked.Increment(ref proxy.requests);
                    // Terminate ('X') is the client's farewell and has no reply to lose.
                    fault = chunk.Span[0] == (byte)'X' ? Fault.None : proxy.OnRequest(new(number, request, chunk));
                }

                if (fault is Fault.CutBefore)
                    return (0, true);
                if (fault is Fault.SilentBefore)
                    return (0, false);
                Interlocked.Add(ref proxy.bytesToServer, chunk.Length);
                return (chunk.Length, false);
            }
        }

        private (int Pass, bool Cut) ToClient(Memory<byte> chunk)
        {
            lock (gate)
            {
                var ended = EndsReply(chunk.Span);
                var (pass, cut) = fault switch
                {
                    Fault.None => (chunk.Length, false),
                    Fault.CutAfter => (0, ended),
                    Fault.CutInReply => (Math.Clamp(proxy.BytesBeforeCut - passedOfReply, 0, chunk.Length), ended),
                    _ => (0, false),
                };
                passedOfReply += pass;
                // After a silent fault the connection is lost for good: it must not seem idle again.
                idle = ended && fault is Fault.None;
                Interlocked.Add(ref proxy.bytesToClient, pass);
                return (pass, cut);
            }
        }

        // ReadyForQuery is 'Z', length 5, transaction status; a chunk's bounds may lie inside it, so the last six bytes are kept.
        private bool EndsReply(ReadOnlySpan<byte> chunk)
        {
            var keep = Math.Min(chunk.Length, tail.Length);
            tail.AsSpan(keep).CopyTo(tail);
            chunk[^keep..].CopyTo(tail.AsSpan(tail.Length - keep));
            return tail is [(byte)'Z', 0, 0, 0, 5, _];
        }
    }
}
