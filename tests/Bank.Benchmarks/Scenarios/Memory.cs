using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

internal sealed class Memory : Scenario
{
    public override string Name => "memory";

    public override string About => "what a silo of the product keeps in memory with 100,000 accounts active, callers included";

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        var accounts = comparison.Pace.IsQuick ? comparison.Pace.Accounts : 100_000;
        await using var product = await BankInProcess.StartWholeAsync(postgres, comparison, cancellation, accounts);
        var (collected, loaded) = ($"{accounts} accounts, collected", $"{accounts} accounts, under load");
        await comparison.RunAsync([Footprint.Collected(collected), Footprint.Under(loaded, product.InFlight(500))], cancellation);
        comparison.Target(collected, "600 (400)");
        comparison.Notes.Add("of this process: ask for memory alone, or what other scenarios have left counts too");
    }
}
