using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

internal sealed class Cost : Scenario
{
    public override string Name => "cost";

    public override string About => "processor time, memory and bytes on disk per command: figures that a busy machine disturbs least";

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        await using var article = await ArticleAppend.PrepareAsync(postgres, comparison.Pace, cancellation);
        await using var writer = await WriterAlone.PrepareAsync(postgres, comparison.Pace);
        await using var bank = await BankInProcess.StartAloneAsync(postgres, comparison, cancellation);
        await using var product = await BankInProcess.StartWholeAsync(postgres, comparison, cancellation);
        await using var ofArticle = new Meter(postgres, article.Database);
        await using var ofWriter = new Meter(postgres, writer.Database);
        await using var ofBank = new Meter(postgres, bank.Database);
        await using var ofProduct = new Meter(postgres, product.Database);
        await comparison.RunAsync(
            [
                article.ThroughNpgsql.Metered(ofArticle, ArticleAppend.TableName),
                writer.InFlight(500).Metered(ofWriter, WriterAlone.Table),
                bank.InFlight(500).Metered(ofBank, WriterAlone.Table),
                bank.Hot(500).Metered(ofBank, WriterAlone.Table),
                product.InFlight(500).Metered(ofProduct, WriterAlone.Table),
            ],
            cancellation);
    }
}
