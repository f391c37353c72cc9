namespace Bank.Benchmarks.Measuring;

/// <summary>One of the compared: runs for about the given time and says what came of it.</summary>
internal record Party(string Name, Func<TimeSpan, CancellationToken, Task<IReadOnlyList<Sample>>> RunAsync)
{
    /// <summary>A party whose one figure has its name.</summary>
    public Party(string name, string unit, Func<TimeSpan, CancellationToken, Task<double>> run)
        : this(name, async (time, cancellation) => [new Sample(name, await run(time, cancellation), unit)])
    {
    }
}

/// <summary>A party that is a load of this process: its figures are the rate and the latencies.</summary>
internal sealed record LoadParty(string Name, string Unit, Func<TimeSpan, CancellationToken, Task<LoadResult>> LoadAsync)
    : Party(Name, async (time, cancellation) => (await LoadAsync(time, cancellation)).Samples(Name, Unit))
{
    /// <summary>The same load, measured by what it costs.</summary>
    public Party Metered(Meter meter, string table) => new(
        Name,
        (time, cancellation) => meter.MeasureAsync(
            Name, table, async () => (await LoadAsync(time, cancellation)).Latencies.Count, cancellation));
}

/// <summary>The rounds of one scenario: all parties in turn, again and again, so that what disturbs one disturbs them all.</summary>
internal sealed class Comparison(string scenario, Pace pace, IProgress<string> progress)
{
    private readonly Dictionary<string, Figure> _figures = [];

    public Pace Pace => pace;

    /// <summary>What was measured, in the order in which it first came up.</summary>
    public IReadOnlyCollection<Figure> Figures => _figures.Values;

    /// <summary>What the reader should know of this run, such as which of two ways was the better one.</summary>
    public List<string> Notes { get; } = [];

    public void Say(string what) => progress.Report($"{scenario}: {what}");

    /// <summary>Warms each party up, and gives each its turn in every round.</summary>
    /// <param name="parties">Who is compared.</param>
    /// <param name="cancellation">Ends the run.</param>
    /// <param name="rounds">How many, where they are more than usual.</param>
    /// <param name="warmUps">How often each is warmed up, where once is not enough. A quick run warms nobody up.</param>
    public async Task RunAsync(
        IReadOnlyList<Party> parties, CancellationToken cancellation, int? rounds = null, int warmUps = 1)
    {
        var all = pace.IsQuick ? pace.Rounds : rounds ?? pace.Rounds;
        for (var turn = 1; turn <= (pace.IsQuick ? 0 : warmUps); turn++)
        {
            foreach (var party in parties)
            {
                Say($"warming up: {party.Name}");
                await party.RunAsync(pace.WarmUp, cancellation);
            }
        }

        for (var round = 1; round <= all; round++)
        {
            // From the other end every second time, so that nobody always runs in the wake of the same one.
            foreach (var party in round % 2 == 1 ? parties : parties.Reverse())
            {
                Say($"round {round} of {all}: {party.Name}");
                foreach (var sample in await party.RunAsync(pace.Round, cancellation))
                    Add(sample);
            }
        }
    }

    public void Add(Sample sample)
    {
        var values = _figures.TryGetValue(sample.Name, out var figure) ? figure.Values : [];
        _figures[sample.Name] = new(sample.Name, sample.Unit, [.. values, sample.Value], figure?.Target);
    }

    /// <summary>States what a figure should reach.</summary>
    public void Target(string figure, string target) => _figures[figure] = _figures[figure] with { Target = target };

    /// <summary>Adds the ratio of two figures, round by round: what a slow second has done to both cancels out.</summary>
    public void Ratio(string numerator, string denominator, string? target = null)
    {
        var name = $"{numerator} / {denominator}";
        var ratios = _figures[numerator].Values.Zip(_figures[denominator].Values, (a, b) => a / b);
        _figures[name] = new(name, "x", [.. ratios], target);
    }
}
