using Orleans.Runtime;
using Orleans.Runtime.Placement;
using Orleans.Streams;
using Orleans.Streams.Core;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// One partition of a projection as a grain: its key is that of the partition's stream, which activates it. A subclass gives the name of
/// the projection, a grain type <c>projection-{name}</c>, and the attribute of an implicit subscription to the partition streams.
/// </summary>
/// <remarks>
/// Nothing here waits for the database: an observer that takes its time stops its queue for everybody. Two activations at once, while
/// membership changes, do no harm (see <c>functions/advance.sql</c>).
/// </remarks>
public abstract class ProjectionGrain(string projection, ProjectionRuntime runtime)
    : Grain, IProjectionGrain, IStreamSubscriptionObserver, IAsyncObserver<JournalInterval>
{
    private static readonly TimeSpan Stay = TimeSpan.FromSeconds(5);

    private readonly long _began = runtime.Time.GetTimestamp();
    private ProjectionPartition? _partition;

    /// <summary>The grain of a partition.</summary>
    public static IProjectionGrain Of(IGrainFactory grains, string projection, Partition partition) =>
        grains.GetGrain<IProjectionGrain>(GrainId.Create($"projection-{projection}", JournalStreams.Of(partition).GetKeyAsString()));

    /// <inheritdoc/>
    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        // Its worker runs outside of the grain, where the factory may be used as well.
        var (grains, count) = (GrainFactory, runtime.Options.Partitions);
        var partition = JournalStreams.PartitionOf(StreamId.Create(JournalStreams.Projections, this.GetPrimaryKeyString()), count);
        _partition = runtime.Open(projection, partition.Number, () => WakeAsync(grains, projection, count));
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public override async Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        if (_partition is not null)
            await _partition.DisposeAsync();
    }

    /// <inheritdoc/>
    public Task OnSubscribed(IStreamSubscriptionHandleFactory handleFactory) => handleFactory.Create<JournalInterval>().ResumeAsync(this);

    /// <inheritdoc/>
    public Task OnNextAsync(JournalInterval item, StreamSequenceToken? token = null)
    {
        _partition!.Offer(item);
        // To where the queue is: from there events come as they are, without a copy and a way over the network. While silos come and go, a
        // queue may be with two of them for a moment, and is not run after at once.
        if (item.Sender is { } sender && !sender.Equals(GrainContext.Address.SiloAddress) && runtime.Time.GetElapsedTime(_began) > Stay)
        {
            RequestContext.Set(IPlacementDirector.PlacementHintKey, sender);
            MigrateOnIdle();
            RequestContext.Remove(IPlacementDirector.PlacementHintKey);
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task OnErrorAsync(Exception ex)
    {
        // What was lost on the way lies in the table.
        _partition!.Refresh();
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task<Position?> ReachedAsync(Position position, TimeSpan within) => _partition!.ReachedAsync(position, within);

    /// <inheritdoc/>
    public Task RefreshAsync()
    {
        _partition!.Refresh();
        return Task.CompletedTask;
    }

    /// <summary>Has all partitions of a projection look at the database again.</summary>
    internal static Task WakeAsync(IGrainFactory grains, string projection, int partitions) =>
        Task.WhenAll(Enumerable.Range(0, partitions).Select(n => Of(grains, projection, new(n, partitions)).RefreshAsync()));
}
