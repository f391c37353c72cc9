using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

/// <summary>
/// The journal is made slow, or the two cores that client and server share could not offer three times what it takes: a batch of at most
/// 100 events every 50 ms.
/// </summary>
internal sealed class Overload : Scenario
{
    // As many as the gateway takes at a time.
    private const int Callers = 1_000;

    public override string Name => "overload";

    public override string About => "three times more deposits offered over HTTP than a journal that was made slow can take";

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        var isQuick = comparison.Pace.IsQuick;
        var database = await postgres.CreateDatabaseAsync();
        await postgres.AsSuperuserAsync(
            $"""
            ALTER ROLE bank_app IN DATABASE {database.Name} SET commit_delay = 50000;
            ALTER ROLE bank_app IN DATABASE {database.Name} SET commit_siblings = 0;
            """);
        await using var bank = await BankOverHttp.StartAsync(
            postgres, database, comparison, cancellation, ("Journal__BatchEvents", "100"));
        using var load = new TooMuch(bank);
        comparison.Say("what it takes");
        await load.CapacityAsync(Callers, comparison.Pace.WarmUp, cancellation);
        var capacity = await load.CapacityAsync(Callers, comparison.Pace.Round, cancellation);
        Add("taken", capacity);

        // One uninterrupted minute, looked at in slices.
        for (var (slice, slices) = (1, isQuick ? 1 : 5); slice <= slices; slice++)
        {
            comparison.Say($"three times as much, {slice} of {slices}");
            var time = isQuick ? comparison.Pace.Round : TimeSpan.FromSeconds(60) / slices;
            var (accepted, refused, memory) = await load.OfferAsync(3 * capacity.PerSecond, time, cancellation);
            Add("of three times as much, accepted", accepted);
            if (refused.Latencies.Count > 0)
                Add("of three times as much, refused", refused);
            comparison.Add(new("memory of the host", memory, "MB"));
        }

        comparison.Say("the second after");
        var after = await load.CapacityAsync(Callers, TimeSpan.FromSeconds(1), cancellation);
        comparison.Add(new("in the second after / taken", after.PerSecond / capacity.PerSecond, "x"));

        void Add(string name, LoadResult result)
        {
            foreach (var sample in result.Samples(name, "requests/s"))
                comparison.Add(sample);
        }
    }
}
