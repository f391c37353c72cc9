using System.Net;
using System.Net.Sockets;
using Bank.Contracts;
using Bank.Gateway;
using Bank.Grains;
using Bank.Grains.Transfers;
using Bank.Host.Health;
using Bank.ReadModel;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Npgsql;
using Orleans.Configuration;
using Orleans.Dashboard;
using Orleans.EventSourcing.Postgres;
using Orleans.Messaging;
using Orleans.Runtime.Membership;

namespace Bank.Host;

/// <summary>How the product is put together; tests build the same and add their decorators.</summary>
/// <remarks>
/// Settings come from the configuration. Section <c>Orleans</c>: <c>ClusterId</c>, <c>ServiceId</c>, <c>Endpoints</c>, <c>Messaging</c>,
/// and for the detection of dead silos <c>Membership</c>, with the names of Orleans' <see cref="ClusterMembershipOptions"/>. Section
/// <c>Journal</c>: <see cref="PostgresJournalOptions"/>. Section <c>Bank</c>: <see cref="BankOptions"/>. Section <c>Gateway</c>:
/// <see cref="BankGatewayOptions"/>. Sections <c>Streams</c> and <c>Projections</c>: <see cref="JournalStreamOptions"/> and
/// <see cref="ProjectionOptions"/>.
/// </remarks>
public static class Composition
{
    /// <summary>Adds a silo with everything that it hosts.</summary>
    /// <param name="builder">The host.</param>
    /// <param name="connectionString">The database, as <c>bank_app</c>.</param>
    /// <param name="siloPort">Between silos; <c>Orleans__Endpoints__SiloPort</c> wins.</param>
    /// <param name="gatewayPort">For Orleans clients; <c>Orleans__Endpoints__GatewayPort</c> wins.</param>
    public static IHostApplicationBuilder AddBankSilo(
        this IHostApplicationBuilder builder, string connectionString, int siloPort, int gatewayPort)
    {
        var bank = builder.AddShared(connectionString);
        builder.UseOrleans(silo =>
        {
            var settings = builder.Configuration.GetSection("Orleans");
            silo.Configure<ClusterOptions>(options => Name(options, settings));
            silo.Configure<EndpointOptions>(options =>
            {
                options.SiloPort = settings.GetValue("Endpoints:SiloPort", siloPort);
                options.GatewayPort = settings.GetValue("Endpoints:GatewayPort", gatewayPort);
                options.AdvertisedIPAddress = Address(settings["Endpoints:AdvertisedIPAddress"] ?? "127.0.0.1");
            });
            // As members of a cluster on one machine are called everywhere else.
            if (builder.Configuration["BANK_MEMBER"] is { Length: > 0 } member)
                silo.Configure<SiloOptions>(options => options.SiloName = member);
            silo.Configure<SiloMessagingOptions>(settings.GetSection("Messaging"));
            silo.Configure<ClusterMembershipOptions>(Detect);
            silo.Configure<ClusterMembershipOptions>(settings.GetSection("Membership"));
            silo.Services.AddSingleton<KilledSilos>();
            silo.Services.AddSingleton<ILifecycleParticipant<ISiloLifecycle>>(services => services.GetRequiredService<KilledSilos>());
            silo.Services.AddOptions<SiloConnectionOptions>()
                .Configure<KilledSilos>((options, killed) =>
                {
                    options.ConfigureSiloInboundConnection(killed.Watch);
                    options.ConfigureSiloOutboundConnection(killed.Watch);
                });
            // Each transfer leaves an address behind: a million of them, the default, are 300 MB that nobody asks for again.
            silo.Configure<GrainDirectoryOptions>(options => options.CacheSize = 100_000);
            silo.Configure<GrainDirectoryOptions>(settings.GetSection("GrainDirectory"));
            var orleans = InSchema(connectionString, "orleans");
            silo.UseAdoNetClustering(options => (options.Invariant, options.ConnectionString) = (Invariant, orleans));
            silo.UseAdoNetReminderService(options => (options.Invariant, options.ConnectionString) = (Invariant, orleans));
            silo.AddAdoNetGrainStorage(
                "PubSubStore", options => (options.Invariant, options.ConnectionString) = (Invariant, orleans));
            silo.AddPostgresJournal(options =>
            {
                builder.Configuration.GetSection("Journal").Bind(options);
                options.ConnectionString = connectionString;
                options.AddBank(bank);
            });
            silo.AddPostgresJournalStreams(options => builder.Configuration.GetSection("Streams").Bind(options));
            silo.AddPostgresProjections(options =>
            {
                builder.Configuration.GetSection("Projections").Bind(options);
                options.AddBank();
            });
            silo.AddOutgoingGrainCallFilter<TracedCalls>();
            silo.AddIncomingGrainCallFilter<TracedCalls>();
            silo.AddDashboard(Show);
            DashboardWithoutCounters.AddTo(silo.Services);
            // Once the silo is active, so that its first call finds one.
            silo.Services.AddHostedService<TransferWatchdog>();
        });
        return builder;
    }

    /// <summary>Adds a client of silos elsewhere, which it finds in the database, and finds again when it has lost all of them.</summary>
    /// <param name="builder">The host.</param>
    /// <param name="connectionString">The database, as <c>bank_app</c>.</param>
    public static IHostApplicationBuilder AddBankClient(this IHostApplicationBuilder builder, string connectionString)
    {
        builder.AddShared(connectionString);
        builder.UseOrleansClient(client =>
        {
            var settings = builder.Configuration.GetSection("Orleans");
            client.Configure<ClusterOptions>(options => Name(options, settings));
            client.Configure<ClientMessagingOptions>(settings.GetSection("Messaging"));
            // Silos that have come or gone: a client that has lost all of them has nobody to ask but the table.
            client.Configure<GatewayOptions>(options => options.GatewayListRefreshPeriod = TimeSpan.FromSeconds(1));
            client.Configure<GatewayOptions>(settings.GetSection("Gateways"));
            client.UseAdoNetClustering(
                options => (options.Invariant, options.ConnectionString) = (Invariant, InSchema(connectionString, "orleans")));
            client.Services.AddSingleton<AdoNetGatewayListProvider>();
            client.Services.AddSingleton<IGatewayListProvider, WatchedGateways>();
            client.Services.TryAddSingleton<SiloLosses>();
            client.AddGatewayCountChangedHandler(services => (_, silos) =>
            {
                if (silos.NumberOfConnectedGateways < silos.PreviousNumberOfConnectedGateways)
                    services.GetRequiredService<SiloLosses>().Announce();
            });
            client.UseConnectionRetryFilter<SiloWait>();
            client.AddOutgoingGrainCallFilter<TracedCalls>();
            client.AddDashboard(Show);
        });
        builder.Services.AddPostgresJournalReader(options =>
        {
            builder.Configuration.GetSection("Journal").Bind(options);
            options.ConnectionString = connectionString;
        });
        builder.Services.AddPostgresJournalTailer(options => builder.Configuration.GetSection("Streams").Bind(options));
        return builder;
    }

    /// <summary>Adds the REST API.</summary>
    public static IHostApplicationBuilder AddBankGateway(this IHostApplicationBuilder builder)
    {
        var gateway = builder.Configuration.GetSection("Gateway").Get<BankGatewayOptions>() ?? new();
        Refuse(gateway.FindProblems());
        builder.Services.AddBankGateway(gateway);
        return builder;
    }

    /// <summary>Adds what every process answers, whatever its role.</summary>
    public static IHostApplicationBuilder AddBankHealth(this IHostApplicationBuilder builder)
    {
        var within = TimeSpan.FromSeconds(3);
        builder.Services.AddSingleton<Readiness>();
        builder.Services.AddSingleton<Operators>();
        builder.Services.AddSingleton<HealthDetail>();
        builder.Services.AddHealthChecks()
            .AddCheck<Readiness>("process")
            .AddCheck<JournalAnswers>("journal", timeout: within)
            .AddCheck<OverdueTransfers>("transfers", timeout: within)
            .AddCheck<ParkedProjections>("projections", timeout: within);
        return builder;
    }

    /// <summary>Maps the routes of the role.</summary>
    public static WebApplication MapBank(this WebApplication app, Role role)
    {
        app.Use(app.Services.GetRequiredService<Readiness>().CloseConnections);
        if (role != Role.Silo)
            app.MapBankGateway();
        else
            app.UseRouting();
        app.Use(Telemetry.NameRequest);
        app.Use(app.Services.GetRequiredService<Operators>().Guard);
        app.MapBankHealth();
        app.MapGet(
            "/health/detail",
            async (HealthDetail detail, HttpContext http) =>
            {
                http.Response.Headers.CacheControl = "no-store";
                return Results.Json(await detail.ReadAsync(role, http.RequestAborted), HostSettings.Json);
            }).WithMetadata(OperatorsOnly.Mark);
        if (Telemetry.IsScraped(app.Configuration))
            app.MapPrometheusScrapingEndpoint("/metrics");
        if (role != Role.Silo)
            app.MapOrleansDashboard("/dashboard").WithMetadata(OperatorsOnly.Mark);
        return app;
    }

    private const string Invariant = "Npgsql";

    private static BankOptions AddShared(this IHostApplicationBuilder builder, string connectionString)
    {
        var bank = builder.Configuration.GetSection("Bank").Get<BankOptions>() ?? new();
        Refuse(bank.FindProblems());
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddSingleton(bank);
        // Whoever uses it leaves a session as it was: to reset it would be a statement more for each that is sent.
        builder.Services.AddSingleton<NpgsqlDataSource>(_ => new NpgsqlDataSourceBuilder(
            new NpgsqlConnectionStringBuilder(connectionString) { NoResetOnClose = true }.ConnectionString) { Name = "bank" }.Build());
        builder.Services.AddSingleton<BankMetrics>();
        builder.Services.AddSingleton(typeof(GrainReferences<>));
        builder.Services.AddSingleton<TransferWatch>();
        var partitions = builder.Configuration.GetValue("Streams:Partitions", new JournalStreamOptions().Partitions);
        builder.Services.AddBankQueries(connectionString, partitions);
        return bank;
    }

    private static void Refuse(IReadOnlyList<string> problems)
    {
        if (problems.Count > 0)
            throw new OrleansConfigurationException(string.Join(' ', problems));
    }

    // The log of a silo is its operator's, in a terminal or in what collects it. To gather a silo's figures every second, as is the
    // default, takes nearly 1% of a core of a host that does nothing.
    private static void Show(DashboardOptions options) => (options.HideTrace, options.CounterUpdateIntervalMs) = (true, 5_000);

    // Measured in docs/OPERATIONS.md. A silo is given up after three seconds without an answer to two others, and a crashed one sooner:
    // its probes fail at once.
    private static void Detect(ClusterMembershipOptions options)
    {
        options.ProbeTimeout = TimeSpan.FromSeconds(1);
        options.NumMissedProbesLimit = 3;
        // What answers slowly is given more time, up to this; and nobody is voted out who was heard of within three times this, so a frozen
        // silo lives at least as long.
        options.MaxProbeTimeout = TimeSpan.FromSeconds(3);
        options.TableRefreshTimeout = TimeSpan.FromSeconds(5);
        // A silo that starts does not wait for members that have not signed for three times this.
        options.IAmAliveTablePublishTimeout = TimeSpan.FromSeconds(3);
        options.DeathVoteExpirationTimeout = TimeSpan.FromSeconds(30);
    }

    private static IPAddress Address(string hostOrAddress)
    {
        try
        {
            return IPAddress.TryParse(hostOrAddress, out var address) ? address : Dns.GetHostAddresses(hostOrAddress)[0];
        }
        catch (SocketException e)
        {
            throw new OrleansConfigurationException(
                $"Orleans__Endpoints__AdvertisedIPAddress is \"{hostOrAddress}\", which has no address: {e.Message}.", e);
        }
    }

    private static void Name(ClusterOptions options, IConfiguration settings)
    {
        options.ClusterId = settings["ClusterId"] ?? "bank";
        options.ServiceId = settings["ServiceId"] ?? "bank";
    }

    // Orleans' providers name their tables without a schema.
    private static string InSchema(string connectionString, string schema) =>
        new NpgsqlConnectionStringBuilder(connectionString) { SearchPath = schema }.ConnectionString;
}
