using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

internal sealed class Grains : Scenario
{
    public override string Name => "grains";

    public override string About => "deposits through account grains, beside the writer alone and the article's append";

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        await using var article = await ArticleAppend.PrepareAsync(postgres, comparison.Pace, cancellation);
        await using var writer = await WriterAlone.PrepareAsync(postgres, comparison.Pace);
        await using var bank = await BankInProcess.StartAloneAsync(postgres, comparison, cancellation);
        await using var commit = await BareCommit.PrepareAsync(postgres, cancellation);
        await comparison.RunAsync(
            [
                await article.BetterAsync(comparison, cancellation),
                writer.InFlight(500),
                bank.InFlight(500),
                bank.InFlight(64),
                commit.OneClient("bare commit"),
                bank.InFlight(1),
            ],
            cancellation);
        comparison.Target("grains, 64 in flight, p50", "3 (1.5)");
        comparison.Target("grains, 64 in flight, p99", "20 (8)");
        comparison.Ratio("grains, 1 in flight, p50", "bare commit, p50", "2 (1.3)");
        comparison.Ratio("grains, 500 in flight", "article", "5 (9)");
        comparison.Ratio("grains, 500 in flight", "writer, 500 in flight", "0.5 (0.8)");
    }
}
