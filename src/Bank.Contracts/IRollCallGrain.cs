namespace Bank.Contracts;

/// <summary>Looks which silos are gone, for a gateway that has lost its connection to one. Key 0.</summary>
[Alias("bank.IRollCallGrain")]
public interface IRollCallGrain : IGrainWithIntegerKey
{
    /// <summary>Looks, and has those declared dead whose machine says that nobody is there any more.</summary>
    [Alias("Call")]
    Task Call();
}
