using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Orleans.EventSourcing.Postgres;
using Orleans.Runtime;

namespace Orleans.Hosting;

/// <summary>Adds projections to silos, and the wait for them to any process of the cluster.</summary>
public static class PostgresProjectionsHosting
{
    /// <summary>Runs read models. Each has a grain class of its own, see <see cref="ProjectionGrain"/>.</summary>
    /// <param name="builder">
    /// A silo with the journal and its streams, see <see cref="PostgresJournalStreamsHosting.AddPostgresJournalStreams(ISiloBuilder,
    /// Action{JournalStreamOptions}?)"/>.
    /// </param>
    /// <param name="configure">Adds at least the read models.</param>
    public static ISiloBuilder AddPostgresProjections(this ISiloBuilder builder, Action<ProjectionOptions> configure)
    {
        var services = builder.Services;
        services.AddOptions<ProjectionOptions>().Configure(configure);
        // The partitions are those of the streams.
        services.AddOptions<ProjectionOptions>().PostConfigure<IOptions<JournalStreamOptions>>(
            static (projections, streams) => projections.Partitions = streams.Value.Partitions);
        services.AddSingleton<IConfigurationValidator, ProjectionSettings>();
        services.AddSingleton(static s => new ProjectionRuntime(
            s.GetRequiredService<PostgresJournalOptions>(),
            s.GetRequiredService<IOptions<ProjectionOptions>>().Value,
            s.GetRequiredService<TimeProvider>(),
            s.GetRequiredService<ILogger<ProjectionRuntime>>(),
            s.GetRequiredService<IMeterFactory>()));
        services.AddSingleton(static s => new ProjectionOperations(
            s.GetRequiredService<ProjectionRuntime>(),
            s.GetRequiredService<IJournal>(),
            s.GetRequiredService<TimeProvider>(),
            projection => ProjectionGrain.WakeAsync(
                s.GetRequiredService<IGrainFactory>(), projection, s.GetRequiredService<ProjectionRuntime>().Options.Partitions)));
        services.AddSingleton<ILifecycleParticipant<ISiloLifecycle>, ProjectionStart>();
        return builder;
    }

    /// <summary>Lets queries wait for projections, in a silo or in a client of the cluster.</summary>
    /// <param name="services">Of the host.</param>
    /// <param name="partitions">How many each projection has.</param>
    public static IServiceCollection AddProjectionWaits(this IServiceCollection services, int partitions) =>
        services.AddSingleton(s =>
        {
            var grains = s.GetRequiredService<IGrainFactory>();
            return new ProjectionWaits(
                partitions,
                (projection, n, position, within) =>
                    ProjectionGrain.Of(grains, projection, new(n, partitions)).ReachedAsync(position, within));
        });

    private sealed class ProjectionSettings(IOptions<ProjectionOptions> projections) : IConfigurationValidator
    {
        public void ValidateConfiguration()
        {
            if (projections.Value.FindProblems() is { Count: > 0 } problems)
                throw new OrleansConfigurationException(string.Join(' ', problems));
        }
    }

    // Tables are there before the first delivery.
    private sealed class ProjectionStart(ProjectionRuntime runtime, ProjectionOperations operations)
        : ILifecycleParticipant<ISiloLifecycle>
    {
        public void Participate(ISiloLifecycle lifecycle) => lifecycle.Subscribe(
            nameof(ProjectionStart),
            ServiceLifecycleStage.ApplicationServices,
            async cancellation =>
            {
                foreach (var (projection, reason) in await runtime.EnsureAsync(cancellation))
                    await operations.RecordRebuildAsync(projection, reason);
            });
    }
}
