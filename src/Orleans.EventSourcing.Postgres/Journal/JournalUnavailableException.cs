namespace Orleans.EventSourcing.Postgres;

/// <summary>The journal cannot be read or asked at present; nothing was written. Try again later.</summary>
[GenerateSerializer]
public sealed class JournalUnavailableException : Exception
{
    /// <summary>Creates the exception without a cause.</summary>
    public JournalUnavailableException() : this("The journal is not available at present.") { }

    /// <summary>Creates the exception.</summary>
    public JournalUnavailableException(string message) : base(message) { }

    /// <summary>Creates the exception with its cause.</summary>
    public JournalUnavailableException(string message, Exception innerException) : base(message, innerException) { }
}
