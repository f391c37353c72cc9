using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

internal sealed class Writer : Scenario
{
    public override string Name => "writer";

    public override string About => "the journal's writer alone, complete rows; beside it, COPY of the same rows";

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        await using var article = await ArticleAppend.PrepareAsync(postgres, comparison.Pace, cancellation);
        await using var copy = await BareCopy.PrepareAsync(postgres, comparison.Pace, cancellation);
        await using var writer = await WriterAlone.PrepareAsync(postgres, comparison.Pace);
        await comparison.RunAsync(
            [
                await article.BetterAsync(comparison, cancellation),
                copy.Rows("COPY", 1_000),
                writer.InFlight(500),
                writer.InFlight(2_000),
            ],
            cancellation);
        comparison.Ratio("COPY", "article");
        comparison.Ratio("writer, 2000 in flight", "COPY");
        comparison.Ratio("writer, 2000 in flight", "article", "7 (12)");
    }
}
