namespace Bank.Contracts;

/// <summary>Tells a gateway whether some silo's writer can append. Key 0.</summary>
[Alias("bank.IJournalProbeGrain")]
public interface IJournalProbeGrain : IGrainWithIntegerKey
{
    /// <summary><see cref="ReplyStatus.Done"/>, or why not.</summary>
    [Alias("Ask")]
    Task<ReplyStatus> Ask();
}
