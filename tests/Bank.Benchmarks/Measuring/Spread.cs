namespace Bank.Benchmarks.Measuring;

/// <summary>Which of so many accounts pays and which receives, never the same.</summary>
internal sealed class Spread
{
    private readonly string _name;
    private readonly Func<(int From, int To)> _next;

    private Spread(string name, Func<(int From, int To)> next) => (_name, _next) = (name, next);

    public (int From, int To) Next() => _next();

    public override string ToString() => _name;

    /// <summary>Each as often as any other.</summary>
    public static Spread Uniform(int accounts) => new("uniform", () => Different(accounts, () => Random.Shared.Next(accounts)));

    /// <summary>The first one pays for everybody.</summary>
    public static Spread OneToMany(int accounts) => new("one to many", () => (0, 1 + Random.Shared.Next(accounts - 1)));

    /// <summary>The nth most popular account is taken with a weight of n^-0.99, as in the Yahoo benchmark.</summary>
    public static Spread Zipf(int accounts)
    {
        var sums = new double[accounts];
        for (var n = 0; n < accounts; n++)
            sums[n] = (n == 0 ? 0 : sums[n - 1]) + Math.Pow(n + 1, -0.99);
        return new("Zipf 0.99", () => Different(accounts, () =>
        {
            var found = Array.BinarySearch(sums, Random.Shared.NextDouble() * sums[^1]);
            return Math.Min(found < 0 ? ~found : found, accounts - 1);
        }));
    }

    private static (int From, int To) Different(int accounts, Func<int> draw)
    {
        var (from, to) = (draw(), draw());
        return (from, from == to ? (to + 1) % accounts : to);
    }
}
