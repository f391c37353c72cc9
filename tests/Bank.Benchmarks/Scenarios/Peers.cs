using System.Globalization;
using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

internal sealed class Peers : Scenario
{
    private const int Events = 20;

    public override string Name => "peers";

    public override string About => "the same deposits through the journals that Orleans brings, 20 events an account";

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        await using var bank = await BankInProcess.StartAloneAsync(postgres, comparison, cancellation);
        await BankInProcess.DepositAsync(
            bank.Accounts.Count * (Events - 1),
            n => bank.Accounts[n % bank.Accounts.Count],
            n => string.Create(CultureInfo.InvariantCulture, $"before-{n / bank.Accounts.Count}"));
        await using var journals = await OrleansJournals.StartAsync(postgres, comparison, Events, cancellation);
        await comparison.RunAsync([bank.InFlight(500), journals.StateStored(500), journals.LogStored(500)], cancellation);
        comparison.Ratio("grains, 500 in flight", "StateStorage, 500 in flight", "10 (20)");
        comparison.Ratio("grains, 500 in flight", "LogStorage, 500 in flight", "30 (60)");
    }
}
