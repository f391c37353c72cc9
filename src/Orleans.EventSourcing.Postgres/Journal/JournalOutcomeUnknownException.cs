namespace Orleans.EventSourcing.Postgres;

/// <summary>The journal was lost while it committed: the events may be recorded. Read again before anything is decided on it.</summary>
[GenerateSerializer]
public sealed class JournalOutcomeUnknownException : Exception
{
    /// <summary>Creates the exception.</summary>
    public JournalOutcomeUnknownException()
        : this("The journal was lost while it committed: the events may be recorded.") { }

    /// <summary>Creates the exception with a message of its own.</summary>
    public JournalOutcomeUnknownException(string message) : base(message) { }

    /// <summary>Creates the exception with its cause.</summary>
    public JournalOutcomeUnknownException(string message, Exception innerException) : base(message, innerException) { }
}
