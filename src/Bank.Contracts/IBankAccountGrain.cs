namespace Bank.Contracts;

/// <summary>A bank account, keyed by its id. Commands are decided in order of arrival and answered when they are durable.</summary>
[Alias("bank.IBankAccountGrain")]
public interface IBankAccountGrain : IGrainWithGuidKey
{
    /// <summary>Opens the account. The command's id is that of its <c>AccountOpened</c>.</summary>
    /// <param name="ownerName">1 to 200 characters.</param>
    /// <param name="currency">ISO 4217 code.</param>
    /// <param name="initialDeposit">May be zero.</param>
    /// <param name="context">What travels with the command.</param>
    [Alias("Open")]
    Task<CommandReply> Open(string ownerName, string currency, AmountText initialDeposit, CommandContext context);

    /// <summary>Puts money in.</summary>
    [Alias("Deposit")]
    Task<CommandReply> Deposit(AmountText amount, string description, CommandContext context);

    /// <summary>Takes money out.</summary>
    [Alias("Withdraw")]
    Task<CommandReply> Withdraw(AmountText amount, string description, CommandContext context);

    /// <summary>Closes the account, whose balance must be zero.</summary>
    [Alias("Close")]
    Task<CommandReply> Close(string reason, CommandContext context);

    /// <summary>
    /// The account as of now: whatever was acknowledged anywhere before the call is in the answer. Null where it does not exist.
    /// </summary>
    [Alias("Read")]
    Task<ReadReply> Read();
}
