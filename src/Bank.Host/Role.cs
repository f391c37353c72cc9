namespace Bank.Host;

/// <summary>What a process of the bank does.</summary>
public enum Role
{
    /// <summary>Silo and gateway in one.</summary>
    All,

    /// <summary>Holds grains; answers for its health only.</summary>
    Silo,

    /// <summary>Answers the REST API; its grains live in silos elsewhere.</summary>
    Gateway,
}
