using System.Diagnostics.Metrics;

namespace Bank.Gateway.Live;

/// <summary>What live feeds count, of the bank's meter.</summary>
internal sealed class LiveMetrics : IDisposable
{
    private readonly Meter _meter;
    private readonly UpDownCounter<long> _clients;
    private readonly Counter<long> _events;
    private readonly Counter<long> _ended;

    public LiveMetrics(IMeterFactory meters)
    {
        _meter = meters.Create("Bank");
        _clients = _meter.CreateUpDownCounter<long>("bank.live.clients", "{client}", "Clients of live feeds that are connected");
        _events = _meter.CreateCounter<long>("bank.live.events", "{event}", "Events that were sent to clients of live feeds");
        _ended = _meter.CreateCounter<long>("bank.live.ended", "{client}", "Live feeds that have ended, by who ended them and why");
    }

    public void Came(string transport) => _clients.Add(1, Of("transport", transport));

    /// <summary>One has gone.</summary>
    /// <param name="transport"><c>sse</c> or <c>websocket</c>.</param>
    /// <param name="reason">What it was told; <c>client_left</c> where it went by itself.</param>
    public void Went(string transport, string reason)
    {
        _clients.Add(-1, Of("transport", transport));
        _ended.Add(1, Of("reason", reason));
    }

    public void Sent(string transport, int events) => _events.Add(events, Of("transport", transport));

    public void Dispose() => _meter.Dispose();

    private static KeyValuePair<string, object?> Of(string tag, string value) => new(tag, value);
}
