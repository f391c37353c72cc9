using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using Orleans.Concurrency;
using Orleans.Configuration;
using Orleans.Placement;
using Orleans.Streams;
using Orleans.Streams.Core;

namespace Orleans.EventSourcing.Postgres.Tests.Streaming;

/// <summary>A grain with an explicit subscription to all events.</summary>
public interface IFollower : IGrainWithStringKey
{
    Task SubscribeAsync(StreamSequenceToken token);

    /// <summary>Moves the subscription that it has.</summary>
    Task RewindAsync(StreamSequenceToken token);

    /// <summary>Positions in the order in which they came, since the last <see cref="RewindAsync"/>.</summary>
    [AlwaysInterleave]
    Task<List<long>> HeardAsync();

    /// <summary>How often the subscription was told that something could not be delivered.</summary>
    [AlwaysInterleave]
    Task<int> ErrorsAsync();

    /// <summary>Does not come back from an event, or fails there, until told otherwise.</summary>
    [AlwaysInterleave]
    Task HinderAsync(long position, bool stuck);

    [AlwaysInterleave]
    Task LetGoAsync();
}

[PreferLocalPlacement]
public sealed class FollowerGrain : Grain, IFollower
{
    private readonly List<long> _heard = [];
    private TaskCompletionSource _free = new();
    private long _hinderedAt;
    private bool _stuck;
    private int _errors;

    private IAsyncStream<RecordedEvent> Stream =>
        this.GetStreamProvider(JournalStreams.Provider).GetStream<RecordedEvent>(JournalStreams.All);

    // An activation whose directory went with a silo is ended with it. The next one, which has heard nothing, begins at the beginning.
    public override async Task OnActivateAsync(CancellationToken cancellationToken)
    {
        foreach (var handle in await Stream.GetAllSubscriptionHandles())
            await handle.ResumeAsync(HearAsync, OnErrorAsync, JournalStreams.After(default(Position)));
    }

    public Task SubscribeAsync(StreamSequenceToken token) => Stream.SubscribeAsync(HearAsync, OnErrorAsync, token);

    public async Task RewindAsync(StreamSequenceToken token)
    {
        var handle = (await Stream.GetAllSubscriptionHandles()).Single();
        _heard.Clear();
        await handle.ResumeAsync(HearAsync, OnErrorAsync, token);
    }

    public Task<List<long>> HeardAsync() => Task.FromResult(_heard.ToList());

    public Task<int> ErrorsAsync() => Task.FromResult(_errors);

    public Task HinderAsync(long position, bool stuck)
    {
        (_hinderedAt, _stuck, _free) = (position, stuck, new());
        return Task.CompletedTask;
    }

    public Task LetGoAsync()
    {
        _hinderedAt = 0;
        _free.TrySetResult();
        return Task.CompletedTask;
    }

    private async Task HearAsync(RecordedEvent e, StreamSequenceToken? token)
    {
        if (e.Position.Value == _hinderedAt && _stuck)
            await _free.Task;
        else if (e.Position.Value == _hinderedAt)
            throw new InvalidOperationException("This event cannot be handled at present.");
        if (JournalStreams.PositionOf(token!) != e.Position)
            throw new InvalidOperationException($"{token} came with the event at {e.Position}.");
        _heard.Add(e.Position.Value);
    }

    private Task OnErrorAsync(Exception e)
    {
        _errors++;
        return Task.CompletedTask;
    }
}

/// <summary>A grain per partition, by implicit subscription.</summary>
public interface IPartitionFollower : IGrainWithIntegerKey
{
    /// <summary>Of this activation.</summary>
    Task<List<JournalInterval>> HeardAsync();

    Task DeactivateAsync();
}

[ImplicitStreamSubscription(JournalStreams.Projections)]
public sealed class PartitionFollowerGrain(IOptions<ClusterOptions> cluster) : Grain, IPartitionFollower, IStreamSubscriptionObserver
{
    private readonly Guid _activation = Guid.NewGuid();
    private readonly List<JournalInterval> _heard = [];

    public Task OnSubscribed(IStreamSubscriptionHandleFactory handleFactory) =>
        handleFactory.Create<JournalInterval>().ResumeAsync((interval, _) =>
        {
            _heard.Add(interval);
            Activations.Enqueue(new(cluster.Value.ClusterId, this.GetPrimaryKeyLong(), _activation));
            return Task.CompletedTask;
        });

    public Task<List<JournalInterval>> HeardAsync() => Task.FromResult(_heard.ToList());

    public Task DeactivateAsync()
    {
        DeactivateOnIdle();
        return Task.CompletedTask;
    }

    /// <summary>Who heard something, in order: to ask a grain itself would activate it.</summary>
    public static ConcurrentQueue<Hearing> Activations { get; } = new();
}

/// <summary>An activation has heard something.</summary>
public sealed record Hearing(string Cluster, long Partition, Guid Activation);
