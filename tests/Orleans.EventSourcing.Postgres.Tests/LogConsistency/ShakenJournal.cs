using System.Collections.Concurrent;

namespace Orleans.EventSourcing.Postgres.Tests.LogConsistency;

/// <summary>A journal whose outcomes a test delays, replaces or loses, and which counts what is read.</summary>
public sealed class ShakenJournal(IJournal inner) : IJournal
{
    private readonly ConcurrentDictionary<string, int> _eventsRead = [];
    private readonly ConcurrentDictionary<string, int> _loads = [];

    /// <summary>Stands between a grain and the journal at each append; the second argument goes on to the journal.</summary>
    public Func<Append, Func<ValueTask<AppendOutcome>>, ValueTask<AppendOutcome>> OnAppend { get; set; } = static (_, go) => go();

    /// <summary>The same for questions.</summary>
    public Func<Question, Func<ValueTask<Answer>>, ValueTask<Answer>> OnAsk { get; set; } = static (_, go) => go();

    /// <summary>Before a stream is loaded.</summary>
    public Func<string, Task> OnLoad { get; set; } = static _ => Task.CompletedTask;

    /// <summary>How many events have been read of a stream, those under its snapshot not counted.</summary>
    public int EventsRead(string streamId) => _eventsRead.GetValueOrDefault(streamId);

    /// <summary>How often a stream has been loaded.</summary>
    public int Loads(string streamId) => _loads.GetValueOrDefault(streamId);

    /// <summary>Nothing is shaken any more.</summary>
    public void Calm() => (OnAppend, OnAsk, OnLoad) =
        (static (_, go) => go(), static (_, go) => go(), static _ => Task.CompletedTask);

    public ValueTask<AppendOutcome> AppendAsync(Append append) => OnAppend(append, () => inner.AppendAsync(append));

    public ValueTask<Answer> AskAsync(Question question) => OnAsk(question, () => inner.AskAsync(question));

    public async Task<LoadedStream> LoadAsync(string streamId, int foldVersion, int pageSize, CancellationToken cancellation)
    {
        await OnLoad(streamId);
        _loads.AddOrUpdate(streamId, 1, (_, n) => n + 1);
        var loaded = await inner.LoadAsync(streamId, foldVersion, pageSize, cancellation);
        _eventsRead.AddOrUpdate(streamId, loaded.Events.Count, (_, n) => n + loaded.Events.Count);
        return loaded;
    }

    public async Task<IReadOnlyList<RecordedEvent>> ReadStreamAsync(
        string streamId, long fromVersion, int limit, CancellationToken cancellation)
    {
        var page = await inner.ReadStreamAsync(streamId, fromVersion, limit, cancellation);
        _eventsRead.AddOrUpdate(streamId, page.Count, (_, n) => n + page.Count);
        return page;
    }

    public Task<IReadOnlyList<RecordedEvent>> ReadAllAsync(Position from, int limit, CancellationToken cancellation) =>
        inner.ReadAllAsync(from, limit, cancellation);

    public Task<RecordedEvent?> ReadEventAsync(Guid eventId, CancellationToken cancellation) => inner.ReadEventAsync(eventId, cancellation);

    public Task<JournalInterval> ReadIntervalAsync(Partition partition, Position after, int limit, CancellationToken cancellation) =>
        inner.ReadIntervalAsync(partition, after, limit, cancellation);

    public Task<IReadOnlyList<RecordedEvent>> ReadStreamAfterAsync(
        string streamId, Position after, int limit, CancellationToken cancellation) =>
        inner.ReadStreamAfterAsync(streamId, after, limit, cancellation);

    public Task<Position> ReadHeadAsync(CancellationToken cancellation) => inner.ReadHeadAsync(cancellation);

    public void Save(Snapshot snapshot) => inner.Save(snapshot);

    public Task ClearAsync(string streamId, CancellationToken cancellation) => inner.ClearAsync(streamId, cancellation);
}
