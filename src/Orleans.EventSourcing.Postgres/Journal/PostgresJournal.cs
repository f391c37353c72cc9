using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;

namespace Orleans.EventSourcing.Postgres;

/// <summary>The journal of one silo, in PostgreSQL.</summary>
public sealed class PostgresJournal : IJournal, IAsyncDisposable
{
    private readonly JournalDatabase _database;
    private readonly JournalMetrics _metrics;
    private readonly JournalWriter _writer;
    private readonly JournalReader _reader;
    private readonly SnapshotWriter _snapshots;
    private readonly ISiloFences _fences;

    /// <summary>Begins; connects when there is something to write or to read.</summary>
    /// <param name="options">Where the database is, bounds and budgets.</param>
    /// <param name="silo">Name of the silo among all that have ever written to this database, see <see cref="SiloName"/>.</param>
    /// <param name="fences">Whom loads wait for; <see cref="ISiloFences.None"/> where this process is the only one.</param>
    /// <param name="time">The clock.</param>
    /// <param name="log">Told of what goes wrong.</param>
    /// <param name="meters">Makes the meter.</param>
    public PostgresJournal(
        PostgresJournalOptions options, string silo, ISiloFences fences, TimeProvider time, ILogger<PostgresJournal> log,
        IMeterFactory? meters = null)
    {
        AppendConnection.RefuseUnknownDriver();
        _fences = fences;
        _database = new(options);
        _metrics = new(meters, time);
        _reader = new(_database.Reads, log);
        _snapshots = new(_database.Reads, _metrics, log);
        _writer = new(silo, _database.Appends, new(_database.Reads, log), options, _metrics, time, log, Known, fences.OnFenced);
    }

    /// <summary>Noted by whoever in this process reads or writes the journal's end.</summary>
    internal LastKnown Known { get; } = new();

    /// <inheritdoc/>
    public ValueTask<AppendOutcome> AppendAsync(Append append) => _writer.AppendAsync(append);

    /// <inheritdoc/>
    public ValueTask<Answer> AskAsync(Question question) => _writer.AskAsync(question);

    /// <inheritdoc/>
    public async Task<LoadedStream> LoadAsync(string streamId, int foldVersion, int pageSize, CancellationToken cancellation)
    {
        // What a dead silo may still append must be visible, or impossible, before anyone decides on what is read.
        await _fences.WaitAsync(cancellation).ConfigureAwait(false);
        return await _reader.LoadAsync(streamId, foldVersion, pageSize, cancellation).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<RecordedEvent>> ReadStreamAsync(
        string streamId, long fromVersion, int limit, CancellationToken cancellation) =>
        _reader.ReadStreamAsync(streamId, fromVersion, limit, cancellation);

    /// <inheritdoc/>
    public Task<IReadOnlyList<RecordedEvent>> ReadStreamAfterAsync(
        string streamId, Position after, int limit, CancellationToken cancellation) =>
        _reader.ReadStreamAfterAsync(streamId, after, limit, cancellation);

    /// <inheritdoc/>
    public Task<IReadOnlyList<RecordedEvent>> ReadAllAsync(Position from, int limit, CancellationToken cancellation) =>
        _reader.ReadAllAsync(from, limit, cancellation);

    /// <inheritdoc/>
    public Task<JournalInterval> ReadIntervalAsync(Partition partition, Position after, int limit, CancellationToken cancellation) =>
        _reader.ReadIntervalAsync(partition, after, limit, cancellation);

    /// <inheritdoc/>
    public Task<RecordedEvent?> ReadEventAsync(Guid eventId, CancellationToken cancellation) =>
        _reader.ReadEventAsync(eventId, cancellation);

    /// <inheritdoc/>
    public Task<Position> ReadHeadAsync(CancellationToken cancellation) => _reader.ReadHeadAsync(cancellation);

    /// <inheritdoc/>
    public void Save(Snapshot snapshot) => _snapshots.Save(snapshot);

    /// <inheritdoc/>
    public Task ClearAsync(string streamId, CancellationToken cancellation) => _reader.ClearAsync(streamId, cancellation);

    /// <summary>Answers what has been handed over, within the write budget, and closes every connection.</summary>
    public async ValueTask DisposeAsync()
    {
        await _writer.DisposeAsync();
        await _snapshots.DisposeAsync();
        await _database.DisposeAsync();
        _metrics.Dispose();
    }
}
