using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

internal sealed class Replays : Scenario
{
    public override string Name => "replays";

    public override string About => "the load of grains, one command in a hundred a retry that only the journal remembers";

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        await using var bank = await BankInProcess.StartAloneAsync(postgres, comparison, cancellation);
        var keys = await OldKeys.PrepareAsync(bank, comparison);
        await comparison.RunAsync([bank.InFlight(500), keys.InFlight(500)], cancellation);
        comparison.Ratio("1% old keys, 500 in flight", "grains, 500 in flight", "0.5 (0.9)");
    }
}
