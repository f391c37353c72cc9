using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

internal sealed class Streams : Scenario
{
    public override string Name => "streams";

    public override string About => "from the record to grains that subscribe, and all of the record to one that begins";

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        await using var followers = await StreamFollowers.StartAsync(postgres, cancellation);
        await comparison.RunAsync(
            [followers.At(50), followers.At(5_000), followers.Flat(), followers.FromTheBeginning()], cancellation);
        comparison.Target("to a grain, 5000 events/s, p99", "100 (20), with the row");
        comparison.Target("history to a subscriber", "50,000 (100,000)");
    }
}
