namespace Bank.Contracts;

/// <summary>How a command ended.</summary>
public enum ReplyStatus
{
    /// <summary>Done and durable, now or (see <see cref="CommandReply.Replayed"/>) by an earlier request with the same id.</summary>
    Done,

    /// <summary>Refused by a rule of the bank; <see cref="CommandReply.Code"/> says which. Nothing was recorded.</summary>
    Refused,

    /// <summary>
    /// A field has a value that its account's currency does not allow; <see cref="CommandReply.Code"/> is the field's name.
    /// </summary>
    Malformed,

    /// <summary>The command's id was used by another command.</summary>
    KeyReused,

    /// <summary>The account is at another version than <see cref="CommandContext.IfMatch"/>.</summary>
    PreconditionFailed,

    /// <summary>Other writers won each time that the command was decided. Nothing was recorded.</summary>
    VersionConflict,

    /// <summary>The writer's queue is full. Nothing was recorded by this attempt.</summary>
    Overloaded,

    /// <summary>The journal cannot be reached. Nothing was recorded by this attempt.</summary>
    JournalUnavailable,

    /// <summary>The journal was lost while it committed: it may be recorded. Ask again with the same id.</summary>
    OutcomeUnknown,
}

/// <summary>An account's answer to a command.</summary>
/// <param name="Status">How the command ended.</param>
/// <param name="Code">The refusal's stable code or the malformed field's name; null elsewhere.</param>
/// <param name="EventId">The first event that the command recorded.</param>
/// <param name="BalanceMinorUnits">The balance after the command, in the currency's smallest unit.</param>
/// <param name="Currency">ISO 4217 code; null where nothing was done.</param>
/// <param name="Version">The account's version after the command.</param>
/// <param name="Position">The position of the command's last event.</param>
/// <param name="Replayed">An earlier request with the same id had done it.</param>
[GenerateSerializer, Immutable, Alias("bank.CommandReply")]
public sealed record CommandReply(
    [property: Id(0)] ReplyStatus Status,
    [property: Id(1)] string? Code = null,
    [property: Id(2)] Guid EventId = default,
    [property: Id(3)] long BalanceMinorUnits = 0,
    [property: Id(4)] string? Currency = null,
    [property: Id(5)] long Version = 0,
    [property: Id(6)] long Position = 0,
    [property: Id(7)] bool Replayed = false);

/// <summary>An account as its grain knows it.</summary>
/// <param name="OwnerName">As given at opening.</param>
/// <param name="BalanceMinorUnits">In the currency's smallest unit.</param>
/// <param name="Currency">ISO 4217 code.</param>
/// <param name="Closed">Whether it is closed.</param>
/// <param name="Version">Number of its events.</param>
/// <param name="OpenedAt">When its first event was recorded.</param>
/// <param name="UpdatedAt">When its last event was recorded.</param>
/// <param name="AsOf">Position up to which the account is known to be like this.</param>
[GenerateSerializer, Immutable, Alias("bank.AccountSnapshot")]
public sealed record AccountSnapshot(
    [property: Id(0)] string OwnerName,
    [property: Id(1)] long BalanceMinorUnits,
    [property: Id(2)] string Currency,
    [property: Id(3)] bool Closed,
    [property: Id(4)] long Version,
    [property: Id(5)] DateTimeOffset OpenedAt,
    [property: Id(6)] DateTimeOffset UpdatedAt,
    [property: Id(7)] long AsOf);

/// <summary>An account's answer to a reader.</summary>
/// <param name="Status"><see cref="ReplyStatus.Done"/>, or why there is no answer.</param>
/// <param name="Account">The account; null where it was never opened, or where there is no answer.</param>
[GenerateSerializer, Immutable, Alias("bank.ReadReply")]
public sealed record ReadReply([property: Id(0)] ReplyStatus Status, [property: Id(1)] AccountSnapshot? Account);
