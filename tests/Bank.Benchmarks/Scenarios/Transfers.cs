using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

internal sealed class Transfers : Scenario
{
    public override string Name => "transfers";

    public override string About => "transfers, beside plain row locks in PostgreSQL and Orleans Transactions";

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        var accounts = comparison.Pace.Accounts;
        var (uniform, zipf, oneToMany) = (Spread.Uniform(accounts), Spread.Zipf(accounts), Spread.OneToMany(accounts));
        await using var locks = await RowLocks.PrepareAsync(postgres, comparison.Pace, cancellation);
        await using var transactions = await OrleansTransactions.StartAsync(postgres, comparison.Pace, cancellation);
        await using var bank = await BankInProcess.StartAloneAsync(postgres, comparison, cancellation);
        await using var product = await BankInProcess.StartWholeAsync(postgres, comparison, cancellation);
        await comparison.RunAsync(
            [
                bank.Transfers(200, uniform),
                bank.Transfers(200, zipf),
                bank.Transfers(200, oneToMany),
                bank.Transfers(64, uniform),
                product.Transfers(200, uniform),
                locks.Transfers(uniform),
                locks.Transfers(zipf),
                locks.Transfers(oneToMany),
                transactions.Transfers(200, uniform),
            ],
            cancellation);
        comparison.Target("grains, 200 in flight, uniform", "4,000 (8,000)");
        comparison.Target("grains, 64 in flight, uniform, p99", "60");
        comparison.Ratio("grains, 200 in flight, uniform", "Orleans Transactions, uniform", "20 (40)");
        comparison.Ratio("grains, 200 in flight, uniform", "row locks, uniform", "1 (2)");
        comparison.Ratio("grains, 200 in flight, Zipf 0.99", "row locks, Zipf 0.99");
        comparison.Ratio("grains, 200 in flight, one to many", "row locks, one to many");
        comparison.Ratio("grains, 200 in flight, Zipf 0.99", "grains, 200 in flight, uniform", "0.9 (1.2)");
        comparison.Ratio("grains, 200 in flight, one to many", "grains, 200 in flight, uniform", "0.9 (1.2)");
        if (transactions.Aborted > 0)
            comparison.Notes.Add($"Orleans Transactions: {transactions.Aborted:N0} were aborted and tried again, warm-up included");
    }
}
