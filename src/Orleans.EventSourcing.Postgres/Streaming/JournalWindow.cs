using System.Numerics;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// The latest part of the journal in memory, of those slots that somebody in the process follows: one copy for everyone, whoever stands in
/// it pins nothing. Its owner sees to it that one thread at a time is here.
/// </summary>
internal sealed class JournalWindow(int maxEvents, long maxBytes)
{
    // How far one read looks for events of its partition while others wait for their turn.
    private const int Span = 16_384;

    // The event at a position lies at its last bits. Nothing lies where a stream was cleared, or where nobody followed the slot.
    private readonly PageEvent[] _ring = new PageEvent[BitOperations.RoundUpToPowerOf2((uint)maxEvents)];

    // Up to where a slot may have events that were not read, since nobody followed it.
    private readonly long[] _unread = new long[StreamSlot.Count];
    private long _low;
    private long _high;
    private long _bytes;

    /// <summary>Everything up to here is no more in the window.</summary>
    public Position Low => new(_low);

    /// <summary>The last position in the window.</summary>
    public Position High => new(_high);

    /// <summary>Forgets everything and stands at a position.</summary>
    public void Reset(Position position)
    {
        Array.Clear(_ring);
        Array.Clear(_unread);
        (_low, _high, _bytes) = (position.Value, position.Value, 0);
    }

    /// <summary>Adds what follows, of some slots, and drops what is too much at the other end.</summary>
    public void Add(JournalPage page, SlotSet slots)
    {
        for (var slot = 0; slot < StreamSlot.Count; slot++)
            if (!slots.Contains(slot))
                _unread[slot] = page.To.Value;
        foreach (var e in page.Events)
        {
            MakeRoom(e.Event.Position.Value);
            Slot(_high) = e;
            _bytes += SizeOf(e);
        }

        MakeRoom(page.To.Value);
        while (_bytes > maxBytes && _low < _high)
            DropOne();
    }

    /// <summary>What lies at a position; null where it is not in the window, or where nothing lies.</summary>
    public RecordedEvent? At(Position position) =>
        position.Value > _low && position.Value <= _high ? Slot(position.Value).Event : null;

    /// <summary>What a partition has after a position; null where the window does not have all of it.</summary>
    public JournalInterval? Read(Partition partition, Position after, int limit)
    {
        if (after.Value < _low || _unread.AsSpan(partition.FirstSlot..(partition.LastSlot + 1)).ContainsAnyExceptInRange(0, after.Value))
            return null;
        var events = new List<RecordedEvent>();
        var (to, bytes) = (after.Value, 0L);
        for (var end = Math.Min(_high, to + Span); to < end && events.Count < limit && bytes < PageQuery.Bytes;)
        {
            ref var e = ref Slot(++to);
            if (e.Event is null || !partition.Contains(e.Slot))
                continue;
            events.Add(e.Event);
            bytes += SizeOf(e);
        }

        return new(partition, after, new(to), events);
    }

    private void MakeRoom(long position)
    {
        while (_high < position)
        {
            if (_high - _low == maxEvents)
                DropOne();
            Slot(++_high) = default;
        }
    }

    private void DropOne()
    {
        ref var e = ref Slot(++_low);
        if (e.Event is not null)
            _bytes -= SizeOf(e);
        e = default;
    }

    private ref PageEvent Slot(long position) => ref _ring[position & (_ring.Length - 1)];

    private static long SizeOf(in PageEvent e) => 200L + e.Event.Data.Length + e.Event.Metadata.Length;
}
