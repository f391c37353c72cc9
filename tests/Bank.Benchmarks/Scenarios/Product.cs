using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

/// <summary>By itself: a silo of the product has work also when it has no turn, and would disturb others who have theirs.</summary>
internal sealed class Product : Scenario
{
    public override string Name => "product";

    public override string About => "deposits through a whole silo of the product, beside the article's append";

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        await using var article = await ArticleAppend.PrepareAsync(postgres, comparison.Pace, cancellation);
        await using var product = await BankInProcess.StartWholeAsync(postgres, comparison, cancellation);
        await comparison.RunAsync([await article.BetterAsync(comparison, cancellation), product.InFlight(500)], cancellation);
        comparison.Ratio("product, 500 in flight", "article");
    }
}
