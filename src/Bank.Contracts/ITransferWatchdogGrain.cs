namespace Bank.Contracts;

/// <summary>Resumes transfers that have taken no step for too long. There is one, with key 0.</summary>
[Alias("bank.ITransferWatchdogGrain")]
public interface ITransferWatchdogGrain : IGrainWithIntegerKey
{
    /// <summary>One round: folds the journal to its head, and resumes what is overdue. Too soon after another, it does nothing.</summary>
    [Alias("Watch")]
    Task Watch();
}
