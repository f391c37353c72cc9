namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// The confirming question. Asked before an answer that appends nothing leaves: it rides in the writer's next call and is answered under
/// the
/// head lock, behind everything that was queued before it.
/// </summary>
/// <param name="StreamId">The stream whose last state is asked.</param>
/// <param name="CommandId">A command to look for, in any stream; null asks for none.</param>
public readonly record struct Question(string StreamId, Guid? CommandId);

/// <summary>What the journal says to a question.</summary>
public abstract record Answer
{
    private Answer() { }

    /// <summary>Confirmed, and as durable as a commit.</summary>
    /// <param name="Last">The last state of the stream; version 0 where it does not exist.</param>
    /// <param name="Head">The head of the journal when the question was answered.</param>
    /// <param name="Recorded">All events of the command that was asked for, in order; empty where it is not recorded.</param>
    public sealed record Confirmed(StreamState Last, Position Head, IReadOnlyList<RecordedEvent> Recorded) : Answer;

    /// <summary>The queue is full; the question was never sent.</summary>
    public sealed record Overloaded : Answer
    {
        /// <summary>The only value.</summary>
        public static Overloaded Instance { get; } = new();
    }

    /// <summary>The journal gave no answer within the writer's budget.</summary>
    public sealed record Unavailable : Answer
    {
        /// <summary>The only value.</summary>
        public static Unavailable Instance { get; } = new();
    }
}
