namespace Orleans.EventSourcing.Postgres;

/// <summary>Some of the slots.</summary>
internal sealed class SlotSet
{
    public SlotSet(Func<int, bool> contains)
    {
        for (var slot = 0; slot < StreamSlot.Count; slot++)
            if (contains(slot))
                Bits[slot / 8] |= (byte)(1 << slot % 8);
    }

    /// <summary>A bit for each slot, the lowest of a byte first, as PostgreSQL's <c>get_bit</c> counts.</summary>
    public byte[] Bits { get; } = new byte[StreamSlot.Count / 8];

    public bool Contains(int slot) => (Bits[slot / 8] & 1 << slot % 8) != 0;

    /// <summary>Whether it has all slots of another.</summary>
    public bool Contains(SlotSet other)
    {
        for (var n = 0; n < Bits.Length; n++)
            if ((other.Bits[n] & ~Bits[n]) != 0)
                return false;
        return true;
    }
}
