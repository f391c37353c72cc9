using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

internal sealed class Hot : Scenario
{
    public override string Name => "hot";

    public override string About => "deposits to one account, beside the same to many";

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        await using var bank = await BankInProcess.StartAloneAsync(postgres, comparison, cancellation);
        await comparison.RunAsync([bank.InFlight(500), bank.Hot(500)], cancellation);
        comparison.Ratio("hot grains, 500 in flight", "grains, 500 in flight", "0.9 (1.3)");
    }
}
