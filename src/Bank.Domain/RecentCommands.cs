namespace Bank.Domain;

/// <summary>
/// The ids of the last commands of a stream, at most <see cref="Capacity"/> of them. Immutable: <see cref="Add"/> gives another window.
/// </summary>
public sealed class RecentCommands : IEquatable<RecentCommands>
{
    // Windows that follow each other share one buffer, each seeing its own stretch of it, so that adding an id copies nothing until the
    // buffer ends. The slot behind a window goes to the first successor that claims it; a second one (a state decided anew after a
    // conflict) finds it taken and copies. What a window sees is never written again.
    private sealed class Shared(int size)
    {
        public readonly Guid[] Ids = new Guid[size];
        public int Used;
    }

    private readonly Shared _buffer;
    private readonly int _start;
    private readonly int _end;

    private RecentCommands(int capacity, bool isComplete, Shared buffer, int start, int end) =>
        (Capacity, IsComplete, _buffer, _start, _end) = (capacity, isComplete, buffer, start, end);

    public int Capacity { get; }

    /// <summary>Whether the window holds the whole history, so that an id which is not in it never was.</summary>
    public bool IsComplete { get; }

    /// <summary>The ids, oldest first.</summary>
    public ReadOnlySpan<Guid> Ids => _buffer.Ids.AsSpan(_start, _end - _start);

    public static RecentCommands Empty(int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        return new(capacity, true, new(0), 0, 0);
    }

    /// <summary>A window that was stored. If it holds more than the capacity of today, the oldest ids go.</summary>
    public static RecentCommands Restore(int capacity, bool isComplete, ReadOnlySpan<Guid> ids)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        var kept = ids.Length > capacity ? ids[^capacity..] : ids;
        var buffer = new Shared(kept.Length) { Used = kept.Length };
        kept.CopyTo(buffer.Ids);
        return new(capacity, isComplete && kept.Length == ids.Length, buffer, 0, kept.Length);
    }

    public bool Contains(Guid command) => Ids.Contains(command);

    /// <summary>The window after one more event of that command; the events of one command follow each other and count once.</summary>
    public RecentCommands Add(Guid command)
    {
        var ids = Ids;
        if (ids is [.., var last] && last == command)
            return this;
        var full = ids.Length == Capacity;
        // Compare and exchange: states of one stream may be folded further on two threads at once, such as by a reader of the past.
        if (_end < _buffer.Ids.Length && Interlocked.CompareExchange(ref _buffer.Used, _end + 1, _end) == _end)
        {
            _buffer.Ids[_end] = command;
            return new(Capacity, IsComplete && !full, _buffer, full ? _start + 1 : _start, _end + 1);
        }
        var kept = full ? ids[1..] : ids;
        var copy = new Shared(Math.Max(4, 2 * (kept.Length + 1))) { Used = kept.Length + 1 };
        kept.CopyTo(copy.Ids);
        copy.Ids[kept.Length] = command;
        return new(Capacity, IsComplete && !full, copy, 0, kept.Length + 1);
    }

    public bool Equals(RecentCommands? other) =>
        other is not null && Capacity == other.Capacity && IsComplete == other.IsComplete && Ids.SequenceEqual(other.Ids);

    public override bool Equals(object? obj) => Equals(obj as RecentCommands);

    public override int GetHashCode() => HashCode.Combine(Capacity, IsComplete, Ids.Length, Ids is [.., var last] ? last : default);
}
