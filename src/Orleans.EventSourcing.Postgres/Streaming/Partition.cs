namespace Orleans.EventSourcing.Postgres;

/// <summary>A partition of the journal: one of equal ranges of slots.</summary>
/// <param name="Number">From 0.</param>
/// <param name="Count">How many partitions there are: a power of two up to <see cref="StreamSlot.Count"/>.</param>
[GenerateSerializer, Immutable, Alias("journal.Partition")]
public readonly record struct Partition([property: Id(0)] int Number, [property: Id(1)] int Count)
{
    /// <summary>The only one there is.</summary>
    public static Partition Whole { get; } = new(0, 1);

    /// <summary>The first slot that belongs to it.</summary>
    public int FirstSlot => Number * (StreamSlot.Count / Count);

    /// <summary>The last slot that belongs to it.</summary>
    public int LastSlot => FirstSlot + StreamSlot.Count / Count - 1;

    /// <summary>Whether a slot belongs to it.</summary>
    public bool Contains(int slot) => slot >= FirstSlot && slot <= LastSlot;

    /// <summary>The partition of a slot.</summary>
    public static Partition Of(int slot, int count) => new(slot / (StreamSlot.Count / count), count);
}
