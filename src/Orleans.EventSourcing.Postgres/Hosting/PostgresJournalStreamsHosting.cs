using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using Orleans.EventSourcing.Postgres;
using Orleans.Runtime;
using Orleans.Runtime.Providers;
using Orleans.Streams;

namespace Orleans.Hosting;

/// <summary>Adds the journal's streams to silos and clients, and its tailer to any host.</summary>
public static class PostgresJournalStreamsHosting
{
    /// <summary>
    /// Makes the journal a stream, twice: see <see cref="JournalStreams"/>. Explicit subscriptions need a grain storage with the name
    /// <c>PubSubStore</c>.
    /// </summary>
    /// <param name="builder">A silo with the journal, see <see cref="PostgresJournalHosting.AddPostgresJournal"/>.</param>
    /// <param name="configure">Bounds and intervals.</param>
    public static ISiloBuilder AddPostgresJournalStreams(this ISiloBuilder builder, Action<JournalStreamOptions>? configure = null)
    {
        builder.Services.AddPostgresJournalTailer(configure);
        Add(JournalStreams.Projections, StreamPubSubType.ImplicitOnly, static options => options.Partitions);
        Add(JournalStreams.Provider, StreamPubSubType.ExplicitGrainBasedAndImplicit, static _ => 1);
        return builder;

        void Add(string provider, StreamPubSubType subscriptions, Func<JournalStreamOptions, int> partitions) =>
            builder.AddPersistentStreams(
                provider,
                (services, name) => Adapter(services, name, partitions, services.GetRequiredService<JournalTailer>()),
                streams =>
                {
                    streams.ConfigureStreamPubSub(subscriptions);
                    streams.ConfigureBackoffProvider(static (_, _) => (IMessageDeliveryBackoffProvider)new JournalBackOff());
                    streams.ConfigureBackoffProvider(static (_, _) => (IQueueReaderBackoffProvider)new JournalBackOff());
                });
    }

    /// <summary>
    /// Lets a client of the cluster subscribe to the stream of all events, <see cref="JournalStreams.All"/>. It needs no connection to the
    /// database.
    /// </summary>
    public static IClientBuilder AddPostgresJournalStreams(this IClientBuilder builder) =>
        builder.AddPersistentStreams(
            JournalStreams.Provider,
            static (services, name) => Adapter(services, name, static _ => 1, null),
            static streams => streams.ConfigureStreamPubSub(StreamPubSubType.ExplicitGrainBasedAndImplicit));

    /// <summary>Adds a <see cref="JournalTailer"/>, for feeds that are no Orleans streams.</summary>
    /// <param name="services">Of a host with the journal or a reader of it, see <see cref="PostgresJournalHosting"/>.</param>
    /// <param name="configure">Bounds and intervals.</param>
    public static IServiceCollection AddPostgresJournalTailer(
        this IServiceCollection services, Action<JournalStreamOptions>? configure = null)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddOptions<JournalStreamOptions>().Configure(configure ?? (static _ => { }));
        services.AddSingleton<IConfigurationValidator, StreamSettings>();
        services.TryAddSingleton(static s => new JournalTailer(
            s.GetRequiredService<PostgresJournalOptions>(),
            s.GetRequiredService<IOptions<JournalStreamOptions>>().Value,
            s.GetRequiredService<IJournalReader>(),
            s.GetRequiredService<TimeProvider>(),
            s.GetRequiredService<ILogger<JournalTailer>>(),
            s.GetService<IMeterFactory>()));
        return services;
    }

    private static JournalQueueAdapter Adapter(
        IServiceProvider services, string name, Func<JournalStreamOptions, int> partitions, JournalTailer? tailer)
    {
        var options = services.GetRequiredService<IOptions<JournalStreamOptions>>().Value;
        return new(
            name, partitions(options), services.GetService<ILocalSiloDetails>()?.SiloAddress, options, tailer,
            services.GetService<TimeProvider>() ?? TimeProvider.System, services.GetRequiredService<ILogger<JournalQueueAdapter>>());
    }

    private sealed class StreamSettings(IOptions<JournalStreamOptions> streams, IOptions<GrainCollectionOptions> collection)
        : IConfigurationValidator
    {
        public void ValidateConfiguration()
        {
            if (streams.Value.FindProblems(collection.Value.CollectionAge) is { Count: > 0 } problems)
                throw new OrleansConfigurationException(string.Join(' ', problems));
        }
    }
}
