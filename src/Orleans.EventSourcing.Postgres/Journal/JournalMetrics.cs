using System.Diagnostics.Metrics;

namespace Orleans.EventSourcing.Postgres;

/// <summary>The journal's instruments, of the meter <see cref="MeterName"/>.</summary>
internal sealed class JournalMetrics : IDisposable
{
    /// <summary>Name of the meter.</summary>
    public const string MeterName = EngineTelemetry.Name;

    // A collector's own bounds are made for milliseconds: an append would be somewhere between 0 and 5 seconds.
    private static readonly InstrumentAdvice<double> Durations = new()
    {
        HistogramBucketBoundaries = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20],
    };

    private static readonly InstrumentAdvice<int> BatchSizes = new()
    {
        HistogramBucketBoundaries = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000],
    };

    private readonly TimeProvider _time;
    private readonly Meter _meter;
    private readonly Histogram<double> _duration;
    private readonly Histogram<int> _batchSize;
    private readonly Counter<long> _lost;
    private readonly Counter<long> _snapshotsSaved;
    private readonly Counter<long> _snapshotsDropped;

    public JournalMetrics(IMeterFactory? meters, TimeProvider time)
    {
        _time = time;
        _meter = meters?.Create(MeterName) ?? new Meter(MeterName);
        _duration = _meter.CreateHistogram<double>(
            "journal.append.duration", "s", "From handing an append over to its outcome", tags: null, advice: Durations);
        _batchSize = _meter.CreateHistogram<int>(
            "journal.batch.size", "{event}", "Events sent in one call", tags: null, advice: BatchSizes);
        _lost = _meter.CreateCounter<long>("journal.calls.lost", "{call}", "Calls that may or may not have committed");
        _snapshotsSaved = _meter.CreateCounter<long>("journal.snapshots.saved", "{snapshot}");
        _snapshotsDropped = _meter.CreateCounter<long>("journal.snapshots.dropped", "{snapshot}", "Not saved, for want of room or journal");
        // What happens rarely is there from the start: of a series that begins with 1, nobody sees the rise.
        _lost.Add(0);
        _snapshotsSaved.Add(0);
        _snapshotsDropped.Add(0);
    }

    public void ObserveQueue(Func<int> length) =>
        _meter.CreateObservableGauge("journal.queue.length", length, "{event}", "Events and questions that wait for the writer");

    public void Appended(AppendOutcome outcome, long started) =>
        _duration.Record(_time.GetElapsedTime(started).TotalSeconds, new KeyValuePair<string, object?>("outcome", outcome.GetType().Name));

    public void Calling(int events) => _batchSize.Record(events);

    public void CallLost() => _lost.Add(1);

    public void SnapshotsSaved(int count) => _snapshotsSaved.Add(count);

    public void SnapshotsDropped(int count) => _snapshotsDropped.Add(count);

    public void Dispose() => _meter.Dispose();
}
