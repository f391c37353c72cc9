using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Parties;
using Bank.Testing;

namespace Bank.Benchmarks.Scenarios;

internal sealed class Idle : Scenario
{
    public override string Name => "idle";

    public override string About => "the bank as a process, for a minute without a request: processor time, and statements to the database";

    public override async Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation)
    {
        var (settle, time) = comparison.Pace.IsQuick ? (0.5, 1) : (60, 60);
        comparison.Say($"watching for {time} s");
        var (samples, statements) = await IdleBank.MeasureAsync(
            postgres, await postgres.CreateDatabaseAsync(), TimeSpan.FromSeconds(settle), TimeSpan.FromSeconds(time), cancellation);
        foreach (var sample in samples)
            comparison.Add(sample);
        comparison.Target("idle host, processor", "3");
        comparison.Target("idle host, its most frequent statement", "1");
        foreach (var (statement, count) in statements.Take(8))
            comparison.Notes.Add($"{count} times: {(statement.Length > 100 ? statement[..100] : statement)}");
    }
}
