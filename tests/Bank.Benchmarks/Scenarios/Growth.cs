using System.Globalization;
using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

internal sealed class Growth : Scenario
{
    private const string EventsVariable = "BANK_BENCH_EVENTS";

    public override string Name => "growth";

    public override string About => "the rate of grains on an empty journal and on one of 20 million events; only by name";

    public override bool OnlyByName => true;

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        var isQuick = comparison.Pace.IsQuick;
        var events = isQuick
            ? 20_000
            : long.Parse(Environment.GetEnvironmentVariable(EventsVariable) ?? "20000000", CultureInfo.InvariantCulture);
        await using var bank = await BankInProcess.StartAloneAsync(postgres, comparison, cancellation);
        await using var checkpoints = new Checkpoints(postgres);
        await using var growth = new JournalGrowth(bank.Database);
        var load = bank.InFlight(500);
        await load.LoadAsync(comparison.Pace.WarmUp, cancellation);
        var empty = await RateAsync("grains, journal empty at first");
        await growth.GrowAsync(events, comparison, cancellation);
        var full = await RateAsync($"grains, {events:N0} events at first");
        var ratio = $"{events:N0} events / empty";
        comparison.Add(new(ratio, full / empty, "x"));
        comparison.Target(ratio, "0.65 (0.85)");

        async Task<double> RateAsync(string name)
        {
            var rate = await checkpoints.RateOverAsync(isQuick ? 0 : 3, load, comparison, cancellation);
            comparison.Add(new(name, rate, "commands/s"));
            return rate;
        }
    }
}
