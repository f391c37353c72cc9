using System.Collections.Concurrent;

namespace Bank.Gateway;

/// <summary>
/// Up to which position this gateway has acknowledged something of an account or a transfer, so that no read through it goes behind that.
/// Bounded: when too much is remembered, the older half is forgotten, and counts as acknowledged at its highest position.
/// </summary>
internal sealed class Acknowledged
{
    // 100 bytes an entry: some megabytes.
    private const int Half = 50_000;

    private readonly Lock _turn = new();
    private ConcurrentDictionary<Guid, long> _newer = [];
    private ConcurrentDictionary<Guid, long> _older = [];
    private long _floor;
    private long _highest;

    /// <summary>The highest position of all: what a list must hold.</summary>
    public long Highest => Volatile.Read(ref _highest);

    /// <summary>What a read of that account or transfer must hold.</summary>
    public long Of(Guid id)
    {
        // In this order, which is that of forgetting backwards: what is not found any more stands in the next place by then.
        var newer = Volatile.Read(ref _newer).GetValueOrDefault(id);
        var older = Volatile.Read(ref _older).GetValueOrDefault(id);
        return Math.Max(Volatile.Read(ref _floor), Math.Max(newer, older));
    }

    /// <summary>Somebody is about to be told of this position.</summary>
    public void Add(long position, params ReadOnlySpan<Guid> ids)
    {
        foreach (var id in ids)
            _newer.AddOrUpdate(id, static (_, now) => now, static (_, before, now) => Math.Max(before, now), position);
        for (var before = Highest; before < position;)
            before = Interlocked.CompareExchange(ref _highest, position, before) is var seen && seen == before ? position : seen;
        if (_newer.Count > Half)
            Forget();
    }

    private void Forget()
    {
        lock (_turn)
        {
            if (_newer.Count <= Half)
                return;
            // The floor first: a reader that no longer finds an entry must find it under the floor.
            Volatile.Write(ref _floor, Math.Max(_floor, _older.Values.DefaultIfEmpty().Max()));
            Volatile.Write(ref _older, _newer);
            Volatile.Write(ref _newer, []);
        }
    }
}
