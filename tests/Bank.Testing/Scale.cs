namespace Bank.Testing;

/// <summary>
/// How much a test does: little in the suite, and with <c>BANK_TEST_SCALE=full</c> in the environment as much as a claim in the
/// documentation is made for. The code that runs is the same.
/// </summary>
public static class Scale
{
    /// <summary>One of two figures.</summary>
    public static int Of(int suite, int full) => Environment.GetEnvironmentVariable("BANK_TEST_SCALE") == "full" ? full : suite;
}
