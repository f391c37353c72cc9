using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

internal sealed class Http : Scenario
{
    public override string Name => "http";

    public override string About => "deposits over HTTP/1.1 without pipelining to the product as it is shipped, wrk on the same machine";

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        await using var article = await ArticleAppend.PrepareAsync(postgres, comparison.Pace, cancellation);
        if (!Wrk.IsPossible)
        {
            comparison.Notes.Add("wrk is missing (Debian has a package of that name): only the article's append was measured");
            await comparison.RunAsync([await article.BetterAsync(comparison, cancellation)], cancellation);
            return;
        }

        await using var bank = await BankOverHttp.StartAsync(postgres, comparison, cancellation);
        await comparison.RunAsync(
            [
                await article.BetterAsync(comparison, cancellation),
                bank.Connections("HTTP, 64 connections", 64),
                bank.Connections("HTTP, 256 connections", 256),
            ],
            cancellation);
        comparison.Ratio("HTTP, 64 connections", "article");
        comparison.Ratio("HTTP, 256 connections", "article", "2 (3)");
    }
}
