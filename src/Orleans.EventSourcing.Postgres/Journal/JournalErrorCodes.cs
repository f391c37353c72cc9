namespace Orleans.EventSourcing.Postgres;

/// <summary>SQLSTATEs of the schema <c>journal</c>.</summary>
internal static class JournalErrorCodes
{
    /// <summary>Arguments that make no sense: a fault of the caller.</summary>
    public const string InvalidArguments = "JI001";

    /// <summary>The silo was declared dead and may not write any more.</summary>
    public const string Fenced = "JF001";

    /// <summary>A later attempt of the silo's writer has begun.</summary>
    public const string Superseded = "JA001";

    /// <summary>The stream's type may not be cleared.</summary>
    public const string NotClearable = "JC001";
}
