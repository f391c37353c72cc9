namespace Bank.Contracts;

/// <summary>Tells a gateway whether some silo's writer can append. Any key: a client spreads its calls over the silos by it.</summary>
[Alias("bank.IJournalProbeGrain")]
public interface IJournalProbeGrain : IGrainWithIntegerKey
{
    /// <summary><see cref="ReplyStatus.Done"/>, or why not.</summary>
    [Alias("Ask")]
    Task<ReplyStatus> Ask();
}
