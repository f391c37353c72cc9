namespace Bank.Benchmarks.Measuring;

/// <summary>One number that a turn has yielded.</summary>
/// <param name="Name">Who and what, such as "grains, 64 in flight, p99".</param>
/// <param name="Value">In <paramref name="Unit"/>.</param>
/// <param name="Unit">Such as "commands/s" or "ms".</param>
internal readonly record struct Sample(string Name, double Value, string Unit);

/// <summary>A named number over all rounds.</summary>
/// <param name="Name">See <see cref="Sample"/>.</param>
/// <param name="Unit">See <see cref="Sample"/>; "x" for ratios.</param>
/// <param name="Values">In the order of the rounds.</param>
/// <param name="Target">What issue and design ask for, for the reader; null where nothing is asked.</param>
internal sealed record Figure(string Name, string Unit, IReadOnlyList<double> Values, string? Target = null)
{
    public double Median
    {
        get
        {
            var sorted = Values.Order().ToList();
            return sorted.Count % 2 == 1
                ? sorted[sorted.Count / 2]
                : (sorted[sorted.Count / 2 - 1] + sorted[sorted.Count / 2]) / 2;
        }
    }

    public double Min => Values.Min();

    public double Max => Values.Max();

    /// <summary>How far the rounds lie apart, as a share of the median.</summary>
    public double Spread => Median == 0 ? 0 : (Max - Min) / Median;
}
