using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Orleans.EventSourcing.Postgres;
using Orleans.Runtime;

namespace Bank.Grains.TestHost;

/// <summary>The side of an append or of a grain call that a <see cref="FaultPoints"/> stands on.</summary>
public enum Side
{
    /// <summary>Nothing has happened yet.</summary>
    Before,

    /// <summary>It has happened, and whoever did it does not know yet.</summary>
    After,
}

/// <summary>Someone who was stopped at a point.</summary>
public sealed class Hold
{
    private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<AppendOutcome?> _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when somebody has come to the point.</summary>
    public Task Reached => _reached.Task;

    /// <summary>Lets go whoever came, and whoever comes.</summary>
    /// <param name="instead">Before an append: what becomes of it, without its having happened.</param>
    public void Release(AppendOutcome? instead = null) => _released.TrySetResult(instead);

    internal async Task<AppendOutcome?> StopAsync()
    {
        _reached.TrySetResult();
        return await _released.Task;
    }
}

/// <summary>
/// Points at which a silo can be stopped: before and after every append, named by the type of its first event, and every grain call, named
/// by its method. They decorate the product's composition.
/// </summary>
public sealed class FaultPoints
{
    private readonly ConcurrentDictionary<(Guid Key, string What, Side Side), Func<Task<AppendOutcome?>>> _points = [];

    /// <summary>Stops whoever comes to a point, until the hold is released.</summary>
    /// <param name="key">Of the stream's grain, or of the grain that is called.</param>
    /// <param name="what">An event type, or a method.</param>
    /// <param name="side">On which side of it.</param>
    public Hold Hold(Guid key, string what, Side side)
    {
        var hold = new Hold();
        _points[(key, what, side)] = hold.StopAsync;
        return hold;
    }

    /// <summary>Lets something else happen first, at a point.</summary>
    public void At(Guid key, string what, Side side, Func<Task> happens) => _points[(key, what, side)] = async () =>
    {
        await happens();
        return null;
    };

    /// <summary>Puts itself between the grains and their journal, and between caller and called.</summary>
    public void Decorate(IServiceCollection services)
    {
        services.AddSingleton<IJournal>(s => new PointedJournal(s.GetRequiredService<PostgresJournal>(), this));
        services.AddSingleton<IOutgoingGrainCallFilter>(new PointedCalls(this));
    }

    private bool IsEmptyFor(Guid key, string what) =>
        !_points.ContainsKey((key, what, Side.Before)) && !_points.ContainsKey((key, what, Side.After));

    private Task<AppendOutcome?> PassAsync(Guid key, string what, Side side) =>
        _points.TryGetValue((key, what, side), out var point) ? point() : Task.FromResult<AppendOutcome?>(null);

    private sealed class PointedCalls(FaultPoints points) : IOutgoingGrainCallFilter
    {
        public async Task Invoke(IOutgoingGrainCallContext context)
        {
            if (!context.TargetId.TryGetGuidKey(out var key, out _) || points.IsEmptyFor(key, context.MethodName))
            {
                await context.Invoke();
                return;
            }

            await points.PassAsync(key, context.MethodName, Side.Before);
            await context.Invoke();
            await points.PassAsync(key, context.MethodName, Side.After);
        }
    }

    private sealed class PointedJournal(IJournal journal, FaultPoints points) : IJournal
    {
        private const int KeyLength = 36;

        public ValueTask<AppendOutcome> AppendAsync(Append append)
        {
            var key = Guid.Parse(append.StreamId.AsSpan(append.StreamId.Length - KeyLength));
            var what = append.Events[0].EventType;
            return points.IsEmptyFor(key, what) ? journal.AppendAsync(append) : new(AppendAsync(append, key, what));
        }

        public ValueTask<Answer> AskAsync(Question question) => journal.AskAsync(question);

        public Task<LoadedStream> LoadAsync(string streamId, int foldVersion, int pageSize, CancellationToken cancellation) =>
            journal.LoadAsync(streamId, foldVersion, pageSize, cancellation);

        public void Save(Snapshot snapshot) => journal.Save(snapshot);

        public Task ClearAsync(string streamId, CancellationToken cancellation) => journal.ClearAsync(streamId, cancellation);

        public Task<IReadOnlyList<RecordedEvent>> ReadStreamAsync(
            string streamId, long fromVersion, int limit, CancellationToken cancellation) =>
            journal.ReadStreamAsync(streamId, fromVersion, limit, cancellation);

        public Task<IReadOnlyList<RecordedEvent>> ReadAllAsync(Position from, int limit, CancellationToken cancellation) =>
            journal.ReadAllAsync(from, limit, cancellation);

        public Task<JournalInterval> ReadIntervalAsync(Partition partition, Position after, int limit, CancellationToken cancellation) =>
            journal.ReadIntervalAsync(partition, after, limit, cancellation);

        public Task<IReadOnlyList<RecordedEvent>> ReadStreamAfterAsync(
            string streamId, Position after, int limit, CancellationToken cancellation) =>
            journal.ReadStreamAfterAsync(streamId, after, limit, cancellation);

        public Task<RecordedEvent?> ReadEventAsync(Guid eventId, CancellationToken cancellation) =>
            journal.ReadEventAsync(eventId, cancellation);

        public Task<Position> ReadHeadAsync(CancellationToken cancellation) => journal.ReadHeadAsync(cancellation);

        private async Task<AppendOutcome> AppendAsync(Append append, Guid key, string what)
        {
            var outcome = await points.PassAsync(key, what, Side.Before) ?? await journal.AppendAsync(append);
            // What failed without having been sent ends the epoch, as the writer does it.
            if (!outcome.KeepsEpoch)
                append.Epoch.End(outcome);
            await points.PassAsync(key, what, Side.After);
            return outcome;
        }
    }
}
