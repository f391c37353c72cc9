using System.Globalization;
using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

internal sealed class Projections : Scenario
{
    private const int EventsPerSecond = 5_000;
    private static readonly string[] ReadModels = ["accounts", "daily_totals", "transactions", "transfers"];

    public override string Name => "projections";

    public override string About => "read models: filled from a million events, rebuilt under load, and how far behind";

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        var (accounts, rounds, commands) = comparison.Pace.IsQuick ? (500, 10, 100) : (10_000, 100, 1_000);
        long events = accounts * rounds;
        var database = await postgres.CreateDatabaseAsync();
        comparison.Say($"making a journal of {events:N0} events");
        await MadeJournal.MakeAsync(database, accounts, rounds, cancellation);

        comparison.Say("a projection that only counts");
        await using (var counting = await ReadModelSilo.StartCountingAsync(database, cancellation))
            Add(new("a projection that only counts", await counting.CatchUpAsync(events, cancellation), "events/s"));
        comparison.Target("a projection that only counts", "50,000 (100,000)");

        comparison.Say("a silo of the bank fills all four read models");
        await using (var bank = await ReadModelSilo.StartBankAsync(database, cancellation))
        {
            Add(new("all four read models at once", await bank.CatchUpAsync(events, cancellation), "events/s"));
            comparison.Say($"transactions are rebuilt while {commands:N0} commands/s come in");
            foreach (var sample in await bank.RebuildAsync(commands, cancellation))
                Add(sample);
            comparison.Target("rebuild of transactions under load", "30,000 (60,000)");
            comparison.Target("rebuild: commands meanwhile", "1,000");

            await comparison.RunAsync([bank.Lag(EventsPerSecond, accounts, rounds)], cancellation);
            comparison.Target("lag: events offered", "5,000");
            foreach (var projection in ReadModels.Where(p => comparison.Figures.Any(f => f.Name == $"lag of {p}, p99")))
                comparison.Target($"lag of {projection}, p99", "100 (20)");
        }

        // Told at once, too: the whole takes minutes.
        void Add(Sample sample)
        {
            comparison.Add(sample);
            comparison.Say(string.Create(CultureInfo.InvariantCulture, $"{sample.Name}: {sample.Value:N1} {sample.Unit}"));
        }
    }
}
