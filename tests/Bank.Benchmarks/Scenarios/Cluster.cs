using System.Globalization;
using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

internal sealed class Cluster : Scenario
{
    private const int Connections = 256;

    // There are five times as many processes as elsewhere, each of which has to be compiled.
    private const int WarmUps = 4;

    public override string Name => "cluster";

    public override string About => "deposits over HTTP to three silos, and to one, behind two gateways, and to one process; only by name";

    public override bool OnlyByName => true;

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        Wrk.Require();
        const string everything = "1 process";
        var (clusters, gateways) = comparison.Pace.IsQuick ? ((int[])[2], 1) : ([3, 1], 2);
        var banks = new List<BankOverHttp>();
        try
        {
            foreach (var silos in clusters)
            {
                banks.Add(await BankOverHttp.StartClusterAsync(postgres, silos, gateways, comparison, cancellation));
                banks[^1].Freeze();
            }

            banks.Add(await BankOverHttp.StartAsync(postgres, comparison, cancellation));
            banks[^1].Freeze();
            List<string> names = [.. clusters.Select(silos => $"{Count(silos, "silo")} behind {Count(gateways, "gateway")}"), everything];
            await comparison.RunAsync(
                [.. banks.Zip(names, (bank, name) => bank.Alone(name, Connections))], cancellation, warmUps: WarmUps);
            comparison.Ratio(names[0], everything, "0.6 (0.8)");
            if (names is [var several, var one, _])
                comparison.Ratio(several, one, "0.8");
        }
        finally
        {
            foreach (var bank in banks)
                await bank.DisposeAsync();
        }
    }

    private static string Count(int count, string what) =>
        string.Create(CultureInfo.InvariantCulture, $"{count} {what}{(count > 1 ? "s" : "")}");
}
