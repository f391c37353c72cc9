namespace Bank.Benchmarks.Measuring;

/// <summary>How much is measured.</summary>
/// <param name="Rounds">How often every party has its turn.</param>
/// <param name="Round">How long a turn is.</param>
/// <param name="WarmUp">How long a party runs before its first turn.</param>
/// <param name="Accounts">How many accounts the load is spread over.</param>
internal sealed record Pace(int Rounds, TimeSpan Round, TimeSpan WarmUp, int Accounts)
{
    public static Pace Full { get; } = new(5, TimeSpan.FromSeconds(4), TimeSpan.FromSeconds(8), 10_000);

    /// <summary>To see that a scenario works; its figures mean nothing, so nobody is warmed up.</summary>
    public static Pace Quick { get; } = new(1, TimeSpan.FromSeconds(0.3), TimeSpan.Zero, 100);

    public bool IsQuick => this == Quick;
}
