namespace Orleans.EventSourcing.Postgres;

/// <summary>Which queue of the writer an append waits in.</summary>
public enum Lane
{
    /// <summary>New commands.</summary>
    Normal,

    /// <summary>Later steps of work that has begun. They pass new commands and take the earlier appends of their stream along.</summary>
    Priority,
}

/// <summary>
/// What an activation decides between two loads of its stream. Each decision stands on those before it, so the first append that does not
/// end as decided ends the epoch, and every later append of it falls: unsent ones are never sent, and those already in a call find their
/// predecessor missing. Not tied to a thread: the writer ends it, the activation reads it.
/// </summary>
public sealed class Epoch
{
    private AppendOutcome? _endedBy;

    /// <summary>The outcome that ended the epoch, or null while it lasts.</summary>
    public AppendOutcome? EndedBy => Volatile.Read(ref _endedBy);

    /// <summary>Ends the epoch; the first outcome wins.</summary>
    public void End(AppendOutcome outcome) => Interlocked.CompareExchange(ref _endedBy, outcome, null);

    /// <summary>What an append of an epoch that has ended gets: it was never sent, so it is certainly not written.</summary>
    public AppendOutcome Felled => EndedBy switch
    {
        AppendOutcome.Overloaded => AppendOutcome.Overloaded.Instance,
        AppendOutcome.Unavailable or AppendOutcome.Unknown => AppendOutcome.Unavailable.Instance,
        _ => AppendOutcome.Conflict.Felled,
    };
}

/// <summary>One command's events for one stream: appended together or not at all.</summary>
/// <param name="StreamId">At most 200 characters; the type of the stream is its id up to the first <c>-</c>.</param>
/// <param name="Expected">The state on which the events were decided.</param>
/// <param name="Events">At least one. The id of the first is the id of the command.</param>
/// <param name="Epoch">The epoch that the append belongs to.</param>
/// <param name="Lane">The queue that it waits in.</param>
public sealed record Append(string StreamId, StreamState Expected, IReadOnlyList<NewEvent> Events, Epoch Epoch, Lane Lane = Lane.Normal)
{
    /// <summary>The state of the stream after this append.</summary>
    public StreamState After => new(Expected.Version + Events.Count, Events[^1].EventId);
}

/// <summary>What became of one append. Every caller gets exactly one.</summary>
public abstract record AppendOutcome
{
    private AppendOutcome() { }

    /// <summary>Durable.</summary>
    /// <param name="Last">The stream after the append.</param>
    /// <param name="LastPosition">Position of the last of its events; the others lie directly before it.</param>
    /// <param name="RecordedAt">Time of the batch.</param>
    public sealed record Appended(StreamState Last, Position LastPosition, DateTimeOffset RecordedAt) : AppendOutcome;

    /// <summary>
    /// The first event's id is in this stream already, from the same command (its hash): replies are made from what is recorded.
    /// </summary>
    /// <param name="Recorded">All events of the command that was recorded, in order.</param>
    /// <param name="Exact">Recorded at exactly the versions asked, with the same types and data: the epoch goes on.</param>
    public sealed record AlreadyAppended(IReadOnlyList<RecordedEvent> Recorded, bool Exact) : AppendOutcome;

    /// <summary>The first event's id belongs to another command, or lies in another stream.</summary>
    /// <param name="Recorded">All events of the command that was recorded, in order.</param>
    public sealed record IdReused(IReadOnlyList<RecordedEvent> Recorded) : AppendOutcome;

    /// <summary>The expected state is not the last one of the stream.</summary>
    /// <param name="ActualVersion">The stream's version; -1 where the append fell with its epoch and the journal was not asked.</param>
    public sealed record Conflict(long ActualVersion) : AppendOutcome
    {
        /// <summary>Fell with its epoch: not the journal's judgement, so it does not count towards a bound on deciding again.</summary>
        public static Conflict Felled { get; } = new(-1);
    }

    /// <summary>Postgres refuses the data itself (SQLSTATE class 22 and the like). Nothing of the append was written.</summary>
    /// <param name="Reason">Postgres' message.</param>
    public sealed record Invalid(string Reason) : AppendOutcome;

    /// <summary>The queue is full; the append was never sent.</summary>
    public sealed record Overloaded : AppendOutcome
    {
        /// <summary>The only value.</summary>
        public static Overloaded Instance { get; } = new();
    }

    /// <summary>Certainly not written: no attempt was ambiguous.</summary>
    public sealed record Unavailable : AppendOutcome
    {
        /// <summary>The only value.</summary>
        public static Unavailable Instance { get; } = new();
    }

    /// <summary>It may be written: ask again with the same ids.</summary>
    public sealed record Unknown : AppendOutcome
    {
        /// <summary>The only value.</summary>
        public static Unknown Instance { get; } = new();
    }

    /// <summary>
    /// Nothing was decided to append, and the journal has confirmed the state that this was decided on, behind everything before it.
    /// </summary>
    /// <param name="Head">The head of the journal when it confirmed.</param>
    public sealed record Confirmed(Position Head) : AppendOutcome;

    /// <summary>Whether what was decided is what is recorded, so that later decisions of the epoch stand.</summary>
    public bool KeepsEpoch => this is Appended or AlreadyAppended { Exact: true } or Confirmed;
}
