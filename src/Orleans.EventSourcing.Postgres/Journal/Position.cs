namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// A place in the global order of a journal: dense, in commit order, the first event has position 1; 0 means "before everything".
/// </summary>
[GenerateSerializer, Immutable]
public readonly record struct Position([property: Id(0)] long Value) : IComparable<Position>
{
    /// <inheritdoc/>
    public int CompareTo(Position other) => Value.CompareTo(other.Value);

    /// <summary>Whether <paramref name="left"/> lies before <paramref name="right"/>.</summary>
    public static bool operator <(Position left, Position right) => left.Value < right.Value;

    /// <summary>Whether <paramref name="left"/> lies after <paramref name="right"/>.</summary>
    public static bool operator >(Position left, Position right) => left.Value > right.Value;

    /// <summary>Whether <paramref name="left"/> lies before <paramref name="right"/> or at it.</summary>
    public static bool operator <=(Position left, Position right) => left.Value <= right.Value;

    /// <summary>Whether <paramref name="left"/> lies after <paramref name="right"/> or at it.</summary>
    public static bool operator >=(Position left, Position right) => left.Value >= right.Value;

    /// <inheritdoc/>
    public override string ToString() => Value.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
