using System.Diagnostics.Metrics;

namespace Orleans.EventSourcing.Postgres.Tests.Streaming;

/// <summary>How many events tailers have read since, those whose meters come from one factory.</summary>
internal sealed class TailReads : IDisposable
{
    private readonly MeterListener _listener = new();
    private long _events;

    public TailReads(IMeterFactory meters)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Name == "journal.tail.events" && instrument.Meter.Scope == meters)
                listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<long>((_, events, _, _) => Interlocked.Add(ref _events, events));
        _listener.Start();
    }

    public long Events => Interlocked.Read(ref _events);

    public void Dispose() => _listener.Dispose();
}
