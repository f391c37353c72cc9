namespace Orleans.EventSourcing.Postgres.Tests.LogConsistency;

/// <summary>What a ledger's events have in common: an interface, as Orleans allows.</summary>
public interface ILedgerEvent
{
    int Amount { get; }
}

public sealed record Credited(int Amount) : ILedgerEvent;

public sealed record Debited(int Taken) : ILedgerEvent
{
    [System.Text.Json.Serialization.JsonIgnore]
    public int Amount => -Taken;
}

/// <summary>Nothing of it is public, and only Orleans can write it.</summary>
[GenerateSerializer, Alias("test.Marked")]
public sealed class Marked : ILedgerEvent
{
    [Id(0)]
    private readonly int _amount;

    public Marked(int amount) => _amount = amount;

    int ILedgerEvent.Amount => _amount;

    public static int AmountOf(Marked marked) => marked._amount;
}

/// <summary>No view folds it.</summary>
public sealed record Poisoned(int Amount) : ILedgerEvent;
