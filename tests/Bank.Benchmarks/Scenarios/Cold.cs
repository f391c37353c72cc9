using System.Globalization;
using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

internal sealed class Cold : Scenario
{
    public override string Name => "cold";

    public override string About => "accounts that are not in memory: the first command, many activations in a row, a long history";

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        await using var bank = await BankInProcess.StartAloneAsync(postgres, comparison, cancellation);
        var accounts = await ColdAccounts.PrepareAsync(bank, comparison);
        var first = string.Create(CultureInfo.InvariantCulture, $"first command on {accounts.Events} events");
        await comparison.RunAsync(
            [
                accounts.FirstCommand(first),
                accounts.Activations($"first commands on {bank.Accounts.Count - 1} accounts, one by one"),
                accounts.History($"history of {accounts.Events} events"),
            ],
            cancellation);
        comparison.Target(first, "50 (5)");
    }
}
