namespace Bank.Contracts;

/// <summary>
/// An account's part in transfers. Each step has one recorded outcome for ever: whoever asks for it again gets what is recorded.
/// Amounts are in the smallest unit of their currency.
/// </summary>
[Alias("bank.IAccountSteps")]
public interface IAccountSteps : IGrainWithGuidKey
{
    /// <summary>Whether the account exists, and its currency.</summary>
    [Alias("AskSource")]
    Task<AskReply> AskSource();

    /// <summary>Whether the account would receive the amount as of now. The credit is decided again when the money comes.</summary>
    [Alias("AskDestination")]
    Task<AskReply> AskDestination(long amount, string currency);

    /// <summary>The money leaves, or the account declines; so it does with the refusal that the destination gave.</summary>
    [Alias("Send")]
    Task<StepReply> Send(TransferStepRequest step, string? destinationRefusal);

    /// <summary>The money arrives, or the account declines.</summary>
    [Alias("Receive")]
    Task<StepReply> Receive(TransferStepRequest step);

    /// <summary>The money comes back; never declined.</summary>
    [Alias("Return")]
    Task<StepReply> Return(TransferStepRequest step);
}

/// <summary>What a step works from: the recorded request of its transfer.</summary>
/// <param name="TransferId">The transfer.</param>
/// <param name="Counterparty">The other account.</param>
/// <param name="Amount">In the smallest unit of the currency.</param>
/// <param name="Currency">ISO 4217 code.</param>
/// <param name="Description">As the client gave it.</param>
/// <param name="CorrelationId">The request that drives the transfer, for the audit trail.</param>
[GenerateSerializer, Immutable, Alias("bank.TransferStepRequest")]
public sealed record TransferStepRequest(
    [property: Id(0)] Guid TransferId,
    [property: Id(1)] Guid Counterparty,
    [property: Id(2)] long Amount,
    [property: Id(3)] string Currency,
    [property: Id(4)] string Description,
    [property: Id(5)] string? CorrelationId);

/// <summary>An account's answer to a question before a transfer.</summary>
/// <param name="Status"><see cref="ReplyStatus.Done"/>, or why there is no answer.</param>
/// <param name="Refusal">The code of the refusal; null is yes.</param>
/// <param name="Currency">The account's currency, where it is asked for.</param>
[GenerateSerializer, Immutable, Alias("bank.AskReply")]
public sealed record AskReply(
    [property: Id(0)] ReplyStatus Status, [property: Id(1)] string? Refusal = null, [property: Id(2)] string? Currency = null);

/// <summary>What is recorded of a step.</summary>
/// <param name="Status"><see cref="ReplyStatus.Done"/> where the step has its outcome; else nothing is known of it.</param>
/// <param name="Declined">The code of the account's refusal; null where the money moved.</param>
/// <param name="BalanceMinorUnits">The account's balance after the step; null where no money moved.</param>
/// <param name="Position">Where the step is recorded.</param>
[GenerateSerializer, Immutable, Alias("bank.StepReply")]
public sealed record StepReply(
    [property: Id(0)] ReplyStatus Status,
    [property: Id(1)] string? Declined = null,
    [property: Id(2)] long? BalanceMinorUnits = null,
    [property: Id(3)] long Position = 0);
