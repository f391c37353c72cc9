using Orleans.Runtime;
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
    private ProjectionPartition? _partition;

    /// <summary>The grain of a partition.</summary>
    public static IProjectionGrain Of(IGrainFactory grains, string projection, int partition) =>
        grains.GetGrain<IProjectionGrain>(GrainId.Create($"projection-{projection}", $"{partition}"));

    /// <inheritdoc/>
    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        var grains = GrainFactory;
        _partition = runtime.Open(
            projection, int.Parse(this.GetPrimaryKeyString(), System.Globalization.CultureInfo.InvariantCulture), () => WakeAsync(grains));
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

    private Task WakeAsync(IGrainFactory grains) =>
        Task.WhenAll(Enumerable.Range(0, runtime.Options.Partitions).Select(n => Of(grains, projection, n).RefreshAsync()));
}
