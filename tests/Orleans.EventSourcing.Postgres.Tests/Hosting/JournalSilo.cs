using System.Net;
using System.Net.Sockets;
using Bank.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Orleans.Configuration;
using Orleans.EventSourcing.Postgres.Tests.LogConsistency;
using Orleans.Hosting;
using Orleans.Runtime;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Hosting;

/// <summary>A silo in this process, composed as a user of the library does it, with a journal that can be shaken.</summary>
public sealed class JournalSilo : IAsyncDisposable
{
    private readonly IHost _host;
    private bool _stopped;

    private JournalSilo(IHost host) => _host = host;

    public IServiceProvider Services => _host.Services;

    public IGrainFactory Grains => Services.GetRequiredService<IGrainFactory>();

    public SiloAddress Address => Services.GetRequiredService<ILocalSiloDetails>().SiloAddress;

    public ShakenJournal Journal => Services.GetRequiredService<ShakenJournal>();

    public EventCatalogue Events => Services.GetRequiredService<PostgresJournalOptions>().Events;

    /// <summary>Signalled when something in the silo has asked the process to end.</summary>
    public CancellationToken Stopping => Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping;

    public static async Task<JournalSilo> StartAsync(
        TestDatabase database, string cluster, Action<PostgresJournalOptions>? configure = null, int? siloPort = null)
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        var orleans = new NpgsqlConnectionStringBuilder(database.App) { SearchPath = "orleans" }.ConnectionString;
        builder.UseOrleans(silo =>
        {
            silo.Configure<ClusterOptions>(o => (o.ClusterId, o.ServiceId) = (cluster, cluster));
            silo.Configure<ClusterMembershipOptions>(o =>
            {
                o.ProbeTimeout = TimeSpan.FromSeconds(1);
                o.NumMissedProbesLimit = 2;
                o.TableRefreshTimeout = TimeSpan.FromSeconds(2);
                o.IAmAliveTablePublishTimeout = TimeSpan.FromSeconds(1);
            });
            silo.ConfigureEndpoints(IPAddress.Loopback, siloPort ?? FreePort(), FreePort());
            silo.UseAdoNetClustering(o => (o.Invariant, o.ConnectionString) = ("Npgsql", orleans));
            silo.AddPostgresJournal(o =>
            {
                o.ConnectionString = database.App;
                o.Events.Add<Credited>("Credited").Add<Debited>("Debited").AddWithOrleansCodec<Marked>("Marked").Add<Poisoned>("Poisoned");
                configure?.Invoke(o);
            });
            silo.Services.AddSingleton(static s => new ShakenJournal(s.GetRequiredService<PostgresJournal>()));
            silo.Services.AddSingleton<IJournal>(static s => s.GetRequiredService<ShakenJournal>());
        });
        var host = builder.Build();
        try
        {
            await host.StartAsync(TestContext.Current.CancellationToken);
            return new(host);
        }
        catch
        {
            await ((IAsyncDisposable)host).DisposeAsync();
            throw;
        }
    }

    /// <summary>Leaves the cluster as a crash does: nothing is handed over, nobody is told.</summary>
    public async Task DropAsync()
    {
        _stopped = true;
        await _host.StopAsync(new CancellationToken(canceled: true));
    }

    public async ValueTask DisposeAsync()
    {
        if (!_stopped)
            await _host.StopAsync();
        await ((IAsyncDisposable)_host).DisposeAsync();
    }

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}

/// <summary>A silo on a database of its own, and another journal that writes behind its back.</summary>
public class OneSilo(PrivatePostgres postgres) : IAsyncLifetime
{
    private PostgresJournal _other = null!;

    /// <summary>Small, so that a few events make a snapshot.</summary>
    protected virtual int SnapshotEvery => 4;

    public TestDatabase Database { get; private set; } = null!;

    public JournalSilo First { get; private set; } = null!;

    public ShakenJournal Journal => First.Journal;

    /// <summary>As <c>bank_owner</c>, past every journal.</summary>
    public NpgsqlDataSource Owner { get; private set; } = null!;

    public virtual async ValueTask InitializeAsync()
    {
        Database = await postgres.CreateDatabaseAsync();
        Owner = NpgsqlDataSource.Create(Database.Owner);
        First = await StartAsync();
        _other = new(
            new() { ConnectionString = Database.App },
            "another/silo",
            ISiloFences.None,
            TimeProvider.System,
            First.Services.GetRequiredService<ILogger<PostgresJournal>>());
    }

    public Task<JournalSilo> StartAsync(string cluster = "test") =>
        JournalSilo.StartAsync(Database, cluster, o => o.SnapshotEvery = SnapshotEvery);

    /// <summary>Appends to a stream as an activation elsewhere would, of which this cluster knows nothing.</summary>
    public async Task<Guid> AppendBehindAsync(string streamId, params object[] events)
    {
        var command = Guid.NewGuid();
        await AppendBehindAsync(streamId, command, [], events);
        return command;
    }

    /// <summary>The same, of a command that a caller has given an id and a hash.</summary>
    public async Task AppendBehindAsync(string streamId, Guid command, byte[] hash, params object[] events)
    {
        var answer = Assert.IsType<Answer.Confirmed>(await _other.AskAsync(new(streamId, null)));
        var encoded = events.Select((e, i) =>
        {
            var codec = First.Events.For(e);
            return new NewEvent(
                i == 0 ? command : Guid.NewGuid(),
                codec.Name,
                codec.SchemaVersion,
                codec.Encode(e),
                EventMetadata.Write(i + 1, events.Length, command, hash, null));
        });
        Assert.IsType<AppendOutcome.Appended>(await _other.AppendAsync(new(streamId, answer.Last, [.. encoded], new())));
    }

    public async Task<int> ExecuteAsync(string sql)
    {
        await using var command = Owner.CreateCommand(sql);
        return await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }

    public async Task<T> ScalarAsync<T>(string sql)
    {
        await using var command = Owner.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync(TestContext.Current.CancellationToken))!;
    }

    public Task<long> CountAsync(string streamId) =>
        ScalarAsync<long>($"SELECT count(*) FROM journal.events WHERE stream_id = '{streamId}'");

    /// <summary>Waits until the grain is in no silo's memory.</summary>
    public async Task GoneAsync(IAddressable grain) => await Eventually.UntilAsync(
        "the grain has left memory",
        () => First.Grains.GetGrain<IManagementGrain>(0).GetDetailedGrainStatistics(),
        activations => activations.All(activation => activation.GrainId != grain.GetGrainId()),
        TimeSpan.FromSeconds(60));

    public virtual async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await First.DisposeAsync();
        await _other.DisposeAsync();
        await Owner.DisposeAsync();
    }
}

/// <summary>Two silos of one cluster.</summary>
public sealed class TwoSilos(PrivatePostgres postgres) : OneSilo(postgres)
{
    public JournalSilo Second { get; private set; } = null!;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        Second = await StartAsync();
    }

    public override async ValueTask DisposeAsync()
    {
        await Second.DisposeAsync();
        await base.DisposeAsync();
    }
}
