using System.Diagnostics.Metrics;

namespace Orleans.EventSourcing.Postgres;

/// <summary>The instruments of projections, of the journal's meter.</summary>
internal sealed class ProjectionMetrics : IDisposable
{
    private readonly Meter _meter;
    private readonly Counter<long> _events;
    private readonly Histogram<double> _delay;

    public ProjectionMetrics(IMeterFactory? meters, Func<IEnumerable<ProjectionPartition>> partitions)
    {
        _meter = meters?.Create(JournalMetrics.MeterName) ?? new Meter(JournalMetrics.MeterName);
        _events = _meter.CreateCounter<long>("projection.events", "{event}", "Events whose rows are committed");
        _delay = _meter.CreateHistogram<double>(
            "projection.delay", "s", "From a batch's time to the commit of a partition's rows that serve");
        Observe("projection.lag.events", "{event}", "Known positions that are not handled yet", p => p.LagEvents);
        _meter.CreateObservableGauge(
            "projection.lag",
            () => Each(partitions(), p => p.Lag.TotalSeconds),
            "s",
            "How old the first event is that is not handled yet");
        _meter.CreateObservableGauge(
            "projection.parked",
            () => Each(
                partitions(),
                p => p.State == PartitionState.Parked ? 1L : 0,
                p => p.Building is { State: PartitionState.Parked } parked ? parked : p.Serving),
            "{partition}",
            "1 where a partition has parked, be it in tables that are being filled");

        void Observe(string name, string unit, string description, Func<PartitionProgress, long> value) =>
            _meter.CreateObservableGauge(name, () => Each(partitions(), value), unit, description);
    }

    public void Applied(string projection, IReadOnlyList<RecordedEvent> events, bool serving, TimeProvider time)
    {
        var tag = new KeyValuePair<string, object?>("projection", projection);
        _events.Add(events.Count, tag);
        // Nobody waits for what is filled from the past.
        if (!serving || !_delay.Enabled)
            return;
        var now = time.GetUtcNow();
        // Events of one batch have one time, and have waited alike.
        var last = DateTimeOffset.MinValue;
        foreach (var e in events)
            if (e.RecordedAt != last)
                _delay.Record((now - (last = e.RecordedAt)).TotalSeconds, tag);
    }

    public void Dispose() => _meter.Dispose();

    private static IEnumerable<Measurement<T>> Each<T>(
        IEnumerable<ProjectionPartition> partitions,
        Func<PartitionProgress, T> value,
        Func<ProjectionPartition, PartitionProgress?>? which = null)
        where T : struct
    {
        foreach (var partition in partitions)
        {
            if ((which?.Invoke(partition) ?? partition.Serving) is { } progress)
                yield return new(
                    value(progress), new("projection", partition.Projection), new("partition", partition.Partition.Number));
        }
    }
}
