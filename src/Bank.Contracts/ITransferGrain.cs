namespace Bank.Contracts;

/// <summary>One transfer: a saga that drives itself from its recorded request to its end. Keyed by the transfer's id.</summary>
[Alias("bank.ITransferGrain")]
public interface ITransferGrain : IGrainWithGuidKey
{
    /// <summary>
    /// Records the request (or finds it recorded) and drives it. Answers when the money has arrived or the transfer has ended, or, after
    /// two seconds with the request recorded, with what is known by then.
    /// </summary>
    /// <param name="from">The account that pays.</param>
    /// <param name="to">The account that receives.</param>
    /// <param name="amount">In the currency of the paying account.</param>
    /// <param name="description">0 to 500 characters.</param>
    /// <param name="context">Its command id is the transfer's.</param>
    [Alias("Request")]
    Task<TransferReply> Request(Guid from, Guid to, AmountText amount, string description, CommandContext context);

    /// <summary>Drives a recorded transfer to its end, if it has not got there. Returns at once.</summary>
    [Alias("Resume")]
    Task Resume();
}

/// <summary>A transfer's answer to its request.</summary>
/// <param name="Status">How the request ended: <see cref="ReplyStatus.Done"/> where a transfer is recorded, whatever becomes of it.</param>
/// <param name="Code">The reason of the refusal, of the recorded transfer or of the request; the malformed field's name.</param>
/// <param name="Transfer">What has become of it so far, in the words of the REST contract; null where none is recorded.</param>
/// <param name="BalanceMinorUnits">The source's balance after the money left it; null before.</param>
/// <param name="Currency">ISO 4217 code; null where none is recorded.</param>
/// <param name="Position">Position of the last step that is known.</param>
/// <param name="Replayed">An earlier request with the same id had recorded it.</param>
[GenerateSerializer, Immutable, Alias("bank.TransferReply")]
public sealed record TransferReply(
    [property: Id(0)] ReplyStatus Status,
    [property: Id(1)] string? Code = null,
    [property: Id(2)] string? Transfer = null,
    [property: Id(3)] long? BalanceMinorUnits = null,
    [property: Id(4)] string? Currency = null,
    [property: Id(5)] long Position = 0,
    [property: Id(6)] bool Replayed = false);
