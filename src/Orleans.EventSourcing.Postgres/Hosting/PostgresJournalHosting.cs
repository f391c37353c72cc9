using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;
using Orleans.Configuration;
using Orleans.EventSourcing;
using Orleans.EventSourcing.Postgres;
using Orleans.Runtime;
using Orleans.Serialization;

namespace Orleans.Hosting;

/// <summary>Adds the journal to silos and to other hosts.</summary>
public static class PostgresJournalHosting
{
    /// <summary>
    /// The name under which a grain can ask for this log-consistency provider; it is also the silo's default one, so that none needs to.
    /// </summary>
    public const string ProviderName = "PostgresJournal";

    /// <summary>Keeps the events of the silo's journaled grains in PostgreSQL.</summary>
    /// <param name="builder">The silo.</param>
    /// <param name="configure">Sets at least the connection string and the stored names of the events.</param>
    /// <remarks>The database must have been migrated, see <see cref="EventSourcing.Postgres.Schema.Migrator"/>.</remarks>
    public static ISiloBuilder AddPostgresJournal(this ISiloBuilder builder, Action<PostgresJournalOptions> configure)
    {
        var services = builder.Services;
        services.AddMetrics();
        services.TryAddSingleton(TimeProvider.System);
        services.AddOptions<PostgresJournalOptions>().Configure(configure);
        services.AddSingleton(static s => s.GetRequiredService<IOptions<PostgresJournalOptions>>().Value);
        services.AddSingleton<IConfigurationValidator, JournalSettings>();

        services.AddSingleton(static s => new SiloFences(
            ClusterOf(s),
            AddressOf(s),
            s.GetRequiredService<IClusterMembershipService>(),
            s.GetRequiredService<IHostApplicationLifetime>(),
            s.GetRequiredService<PostgresJournalOptions>(),
            s.GetRequiredService<ILogger<SiloFences>>()));
        services.AddSingleton<ISiloFences>(static s => s.GetRequiredService<SiloFences>());
        services.AddSingleton<ILifecycleParticipant<ISiloLifecycle>>(static s => s.GetRequiredService<SiloFences>());

        services.AddSingleton(static s => new PostgresJournal(
            s.GetRequiredService<PostgresJournalOptions>(),
            SiloName.Of(ClusterOf(s), AddressOf(s)),
            s.GetRequiredService<ISiloFences>(),
            s.GetRequiredService<TimeProvider>(),
            s.GetRequiredService<ILogger<PostgresJournal>>(),
            s.GetRequiredService<IMeterFactory>()));
        services.AddSingleton<IJournal>(static s => s.GetRequiredService<PostgresJournal>());
        services.AddSingleton<IJournalReader>(static s => s.GetRequiredService<IJournal>());

        services.AddKeyedSingleton<ILogViewAdaptorFactory>(ProviderName, static (s, _) =>
        {
            var options = s.GetRequiredService<PostgresJournalOptions>();
            options.Events.Serializer = s.GetRequiredService<Serializer>();
            return new PostgresLogConsistency(
                s.GetRequiredService<IJournal>(),
                options,
                options.Events.Serializer,
                s.GetRequiredService<TimeProvider>(),
                s.GetRequiredService<ILogger<PostgresLogConsistency>>());
        });
        services.AddSingleton(static s => s.GetRequiredKeyedService<ILogViewAdaptorFactory>(ProviderName));
        // Orleans keeps to itself how an adaptor's services are made; each provider of its own registers that, too.
        return builder.AddLogStorageBasedLogConsistencyProvider($"{ProviderName}/unused");
    }

    /// <summary>Reads the journal from a process that is no silo.</summary>
    /// <param name="services">Of the host.</param>
    /// <param name="configure">Sets at least the connection string.</param>
    public static IServiceCollection AddPostgresJournalReader(this IServiceCollection services, Action<PostgresJournalOptions> configure)
    {
        services.AddOptions<PostgresJournalOptions>().Configure(configure);
        services.AddSingleton(static s => s.GetRequiredService<IOptions<PostgresJournalOptions>>().Value);
        services.AddKeyedSingleton(
            ProviderName, static (s, _) => JournalDatabase.BuildReads(s.GetRequiredService<PostgresJournalOptions>()));
        return services.AddSingleton<IJournalReader>(static s => new JournalReader(
            s.GetRequiredKeyedService<NpgsqlDataSource>(ProviderName), s.GetRequiredService<ILogger<PostgresJournal>>()));
    }

    private static string ClusterOf(IServiceProvider services) => services.GetRequiredService<IOptions<ClusterOptions>>().Value.ClusterId;

    private static SiloAddress AddressOf(IServiceProvider services) => services.GetRequiredService<ILocalSiloDetails>().SiloAddress;

    private sealed class JournalSettings(
        PostgresJournalOptions journal, IOptions<SiloMessagingOptions> messaging, IOptions<GrainCollectionOptions> collection)
        : IConfigurationValidator
    {
        public void ValidateConfiguration()
        {
            if (journal.FindProblems(messaging.Value.ResponseTimeout, collection.Value.DeactivationTimeout) is { Count: > 0 } problems)
                throw new OrleansConfigurationException(string.Join(' ', problems));
        }
    }
}
