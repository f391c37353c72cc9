using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Orleans.Configuration;
using Orleans.Hosting;

namespace Orleans.EventSourcing.Postgres.Tests.Streaming;

/// <summary>A silo, or a client of one, on loopback in this process, with the journal's streams.</summary>
public sealed class StreamSilo : IAsyncDisposable
{
    private readonly IHost _host;

    private StreamSilo(IHost host) => _host = host;

    public IGrainFactory Grains => _host.Services.GetRequiredService<IGrainFactory>();

    public JournalTailer Tailer => _host.Services.GetRequiredService<JournalTailer>();

    public IMeterFactory Meters => _host.Services.GetRequiredService<IMeterFactory>();

    public IClusterClient Client => _host.Services.GetRequiredService<IClusterClient>();

    /// <summary>Starts a silo of a cluster that lives in the database.</summary>
    public static Task<StreamSilo> StartAsync(
        string database, CancellationToken cancellation, Action<JournalStreamOptions>? streams = null,
        Action<ISiloBuilder>? configure = null, string? journal = null) =>
        StartAsync(
            builder => builder.UseOrleans(silo =>
            {
                silo.Configure<ClusterOptions>(o => (o.ClusterId, o.ServiceId) = (NameOf(database), NameOf(database)))
                    .Configure<ClusterMembershipOptions>(o =>
                    {
                        o.ProbeTimeout = TimeSpan.FromSeconds(1);
                        o.NumMissedProbesLimit = 2;
                        o.TableRefreshTimeout = TimeSpan.FromSeconds(2);
                        o.IAmAliveTablePublishTimeout = TimeSpan.FromSeconds(1);
                    })
                    .ConfigureEndpoints(IPAddress.Loopback, FreePort(), FreePort())
                    .UseAdoNetClustering(o => (o.Invariant, o.ConnectionString) = ("Npgsql", OfOrleans(database)))
                    .AddAdoNetGrainStorage("PubSubStore", o => (o.Invariant, o.ConnectionString) = ("Npgsql", OfOrleans(database)))
                    .AddPostgresJournal(o => o.ConnectionString = journal ?? database)
                    .AddPostgresJournalStreams(streams)
                    // Those of the bank come along with the tests' tools. None can begin here, and all would hold up each queue.
                    .Configure<GrainTypeOptions>(o => o.Classes.RemoveWhere(c => c.IsAssignableTo(typeof(ProjectionGrain))));
                configure?.Invoke(silo);
            }),
            cancellation);

    /// <summary>Starts a client of that cluster.</summary>
    public static Task<StreamSilo> StartClientAsync(string database, CancellationToken cancellation) =>
        StartAsync(
            builder => builder.UseOrleansClient(client => client
                .Configure<ClusterOptions>(o => (o.ClusterId, o.ServiceId) = (NameOf(database), NameOf(database)))
                .UseAdoNetClustering(o => (o.Invariant, o.ConnectionString) = ("Npgsql", OfOrleans(database)))
                .AddPostgresJournalStreams()),
            cancellation);

    /// <summary>Leaves without handing anything over.</summary>
    public Task DropAsync() => _host.StopAsync(new CancellationToken(canceled: true));

    public ValueTask DisposeAsync() => ((IAsyncDisposable)_host).DisposeAsync();

    private static async Task<StreamSilo> StartAsync(Action<HostApplicationBuilder> add, CancellationToken cancellation)
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        add(builder);
        var host = builder.Build();
        try
        {
            await host.StartAsync(cancellation);
            return new(host);
        }
        catch
        {
            await ((IAsyncDisposable)host).DisposeAsync();
            throw;
        }
    }

    private static string NameOf(string database) => new NpgsqlConnectionStringBuilder(database).Database!;

    // Orleans' providers name their tables without a schema.
    private static string OfOrleans(string database) =>
        new NpgsqlConnectionStringBuilder(database) { SearchPath = "orleans" }.ConnectionString;

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
