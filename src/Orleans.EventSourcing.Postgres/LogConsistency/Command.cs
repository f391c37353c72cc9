namespace Orleans.EventSourcing.Postgres;

/// <summary>What identifies a command, and what its events say of it beside their data.</summary>
/// <param name="Id">The same for every retry of the command, never for another one; its first event has it.</param>
/// <param name="Hash">
/// A hash of everything the caller sent, so that another command under the same id is noticed. Empty where ids are never the caller's.
/// </param>
/// <param name="Context">What else stands in the events' metadata; null values are left out.</param>
/// <param name="Lane">Which queue of the writer the events wait in.</param>
public readonly record struct Command(
    Guid Id,
    ReadOnlyMemory<byte> Hash = default,
    IReadOnlyList<KeyValuePair<string, string?>>? Context = null,
    Lane Lane = Lane.Normal);
