using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Configuration;
using Orleans.Hosting;
using Orleans.Runtime;

namespace Bank.Cluster.Tests;

/// <summary>A real silo on loopback in this process, with everything that Orleans keeps in the database kept there.</summary>
public sealed class TestSilo : IAsyncDisposable
{
    /// <summary>Grain storage that keeps the row of a cleared state.</summary>
    public const string KeepingStore = "keeping";

    /// <summary>Grain storage that deletes the row of a cleared state.</summary>
    public const string DeletingStore = "deleting";

    /// <summary>A stream provider whose subscriptions are in the database.</summary>
    public const string Streams = "streams";

    private readonly IHost host;

    private TestSilo(IHost host)
    {
        this.host = host;
        Address = Services.GetRequiredService<ILocalSiloDetails>().SiloAddress;
    }

    public IServiceProvider Services => host.Services;

    public IGrainFactory Grains => Services.GetRequiredService<IGrainFactory>();

    public IMembershipTable Members => Services.GetRequiredService<IMembershipTable>();

    public SiloAddress Address { get; }

    public static async Task<TestSilo> StartAsync(string connectionString, string clusterId, CancellationToken cancellation)
    {
        var builder = Microsoft.Extensions.Hosting.Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.UseOrleans(silo => silo
            .Configure<ClusterOptions>(o => (o.ClusterId, o.ServiceId) = (clusterId, clusterId))
            .Configure<ClusterMembershipOptions>(o =>
            {
                o.ProbeTimeout = TimeSpan.FromSeconds(1);
                o.NumMissedProbesLimit = 2;
                o.TableRefreshTimeout = TimeSpan.FromSeconds(2);
                o.IAmAliveTablePublishTimeout = TimeSpan.FromSeconds(1);
            })
            .Configure<ReminderOptions>(o => o.MinimumReminderPeriod = TimeSpan.Zero)
            .ConfigureEndpoints(IPAddress.Loopback, FreePort(), FreePort())
            .UseAdoNetClustering(o => (o.Invariant, o.ConnectionString) = (OrleansDatabase.Invariant, connectionString))
            .UseAdoNetReminderService(o => (o.Invariant, o.ConnectionString) = (OrleansDatabase.Invariant, connectionString))
            .AddAdoNetGrainStorage("PubSubStore", o => (o.Invariant, o.ConnectionString) = (OrleansDatabase.Invariant, connectionString))
            .AddAdoNetGrainStorage(KeepingStore, o => (o.Invariant, o.ConnectionString) = (OrleansDatabase.Invariant, connectionString))
            .AddAdoNetGrainStorage(DeletingStore, o =>
                (o.Invariant, o.ConnectionString, o.DeleteStateOnClear) = (OrleansDatabase.Invariant, connectionString, true))
            .AddMemoryStreams(Streams));
        var host = builder.Build();
        try
        {
            await host.StartAsync(cancellation);
            return new(host);
        }
        catch
        {
            await Dispose(host);
            throw;
        }
    }

    /// <summary>Leaves the cluster in order.</summary>
    public Task StopAsync(CancellationToken cancellation) => host.StopAsync(cancellation);

    /// <summary>Leaves without handing anything over.</summary>
    public Task DropAsync() => host.StopAsync(new CancellationToken(canceled: true));

    public ValueTask DisposeAsync() => Dispose(host);

    private static ValueTask Dispose(IHost host) => ((IAsyncDisposable)host).DisposeAsync();

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
