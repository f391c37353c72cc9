using System.Runtime.InteropServices;

namespace Bank.Gateway;

/// <summary>
/// Up to which position this gateway has acknowledged something of an account or a transfer, so that no read through it goes behind that.
/// Bounded: when too much is remembered, the older half is forgotten, and counts as acknowledged at its highest position.
/// </summary>
internal sealed class Acknowledged
{
    // 50 bytes an entry: some megabytes.
    private const int Half = 50_000;

    private readonly Lock _turn = new();
    private Dictionary<Guid, long> _newer = [];
    private Dictionary<Guid, long> _older = [];
    private long _floor;
    private long _highest;

    /// <summary>The highest position of all: what a list must hold.</summary>
    public long Highest => Volatile.Read(ref _highest);

    /// <summary>What a read of that account or transfer must hold.</summary>
    public long Of(Guid id)
    {
        lock (_turn)
            return Math.Max(_floor, Math.Max(_newer.GetValueOrDefault(id), _older.GetValueOrDefault(id)));
    }

    /// <summary>Somebody is about to be told of this position.</summary>
    public void Add(long position, params ReadOnlySpan<Guid> ids)
    {
        lock (_turn)
        {
            foreach (var id in ids)
            {
                ref var acknowledged = ref CollectionsMarshal.GetValueRefOrAddDefault(_newer, id, out _);
                acknowledged = Math.Max(acknowledged, position);
            }

            Volatile.Write(ref _highest, Math.Max(_highest, position));
            if (_newer.Count <= Half)
                return;
            _floor = Math.Max(_floor, _older.Values.DefaultIfEmpty().Max());
            (_older, _newer) = (_newer, []);
        }
    }
}
