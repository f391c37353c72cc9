using System.Diagnostics.Metrics;

namespace Orleans.EventSourcing.Postgres;

/// <summary>The tailer's instruments, of the journal's meter.</summary>
internal sealed class TailMetrics : IDisposable
{
    private readonly Meter _meter;
    private readonly Counter<long> _events;
    private readonly Counter<long> _wakeups;
    private readonly Counter<long> _lost;
    private readonly Counter<long> _ended;

    public TailMetrics(IMeterFactory? meters, Func<int> subscriptions)
    {
        _meter = meters?.Create(JournalMetrics.MeterName) ?? new Meter(JournalMetrics.MeterName);
        _events = _meter.CreateCounter<long>("journal.tail.events", "{event}", "Events that the process has read as they came");
        _wakeups = _meter.CreateCounter<long>(
            "journal.tail.wakeups", "{wakeup}", "Looks at the journal, by reason: the database's word, or that none came for long");
        _lost = _meter.CreateCounter<long>("journal.tail.lost", "{connection}", "Connections that the tailer has lost, or could not make");
        _ended = _meter.CreateCounter<long>(
            "journal.tail.subscriptions.ended", "{subscription}", "Subscriptions that were ended from this side, by reason");
        _meter.CreateObservableGauge(
            "journal.tail.subscriptions", subscriptions, "{subscription}", "Subscriptions that have come up to the head, and follow it");
        _lost.Add(0);
    }

    public void Read(int events) => _events.Add(events);

    public void Woken(bool byWord) => _wakeups.Add(1, new KeyValuePair<string, object?>("reason", byWord ? "notified" : "poll"));

    public void Lost() => _lost.Add(1);

    public void Ended(SubscriptionEnd end) => _ended.Add(1, new KeyValuePair<string, object?>("reason", end.ToString()));

    public void Dispose() => _meter.Dispose();
}
