namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// Pins the name of a grain class' streams: <c>{prefix}-{grain key}</c>. It never derives from a CLR name, so that renaming a class
/// does not lose its history.
/// </summary>
/// <param name="prefix">The type of the stream: lower-case letters, digits and <c>_</c>; no <c>-</c>, which ends it.</param>
[AttributeUsage(AttributeTargets.Class)]
public sealed class JournalStreamAttribute(string prefix) : Attribute
{
    /// <summary>The type of the stream.</summary>
    public string Prefix { get; } = prefix;

    /// <summary>Which code folds the view. A change makes every older snapshot void.</summary>
    public int FoldVersion { get; init; } = 1;

    /// <summary>
    /// The stream is hardly ever there when its grain is activated, so it is not read then: version 0 is assumed until an append, or the
    /// question behind an answer that appends nothing, finds out. A stream that is there is loaded at that moment, as after a conflict, and
    /// <c>State</c> does not show it before.
    /// </summary>
    public bool ExpectNew { get; init; }

    /// <summary>The pinned names of a grain class.</summary>
    /// <exception cref="InvalidOperationException">The class has no attribute, or one with a prefix that is not allowed.</exception>
    internal static JournalStreamAttribute Of(Type grain)
    {
        var found = (JournalStreamAttribute?)GetCustomAttribute(grain, typeof(JournalStreamAttribute))
            ?? throw new InvalidOperationException(
                $"{grain} has no stream name. Add [JournalStream(\"name\")] to the class; it must never change afterwards.");
        return found.Prefix.Length is > 0 and <= 40 && found.Prefix.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '_')
            ? found
            : throw new InvalidOperationException(
                $"\"{found.Prefix}\" of {grain} is no stream name: use 1 to 40 lower-case ASCII letters, digits and underscores.");
    }
}
