using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

internal sealed class Article : Scenario
{
    public override string Name => "article";

    public override string About => "the article's append: read the version, insert, one transaction per command";

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        await using var article = await ArticleAppend.PrepareAsync(postgres, comparison.Pace, cancellation);
        await comparison.RunAsync(
            [
                new("article, pgbench", "appends/s", article.WithPgbenchAsync),
                new("article, Npgsql", "appends/s", article.WithNpgsqlAsync),
            ],
            cancellation);
    }
}
