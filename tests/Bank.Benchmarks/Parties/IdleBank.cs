using System.Text.RegularExpressions;
using Bank.Benchmarks.Measuring;
using Bank.Testing;

namespace Bank.Benchmarks.Parties;

/// <summary>The product as a process of its own, silo and gateway, to whom nobody speaks.</summary>
internal static partial class IdleBank
{
    /// <summary>What it does all the same: its processor time, and what it asks the database for, by the server's log.</summary>
    /// <param name="postgres">The server.</param>
    /// <param name="database">Of the bank.</param>
    /// <param name="settle">How long it is left alone before.</param>
    /// <param name="time">How long it is watched.</param>
    /// <param name="cancellation">Ends the run.</param>
    public static async Task<(IReadOnlyList<Sample> Samples, IReadOnlyList<KeyValuePair<string, int>> Statements)> MeasureAsync(
        UnshakenPostgres postgres, TestDatabase database, TimeSpan settle, TimeSpan time, CancellationToken cancellation)
    {
        await postgres.AsSuperuserAsync($"ALTER DATABASE {database.Name} SET log_min_duration_statement = 0");
        await using var bank = await BankProcess.Start(["up"], new Dictionary<string, string?>
        {
            ["ConnectionStrings__Bank"] = database.App,
            ["ConnectionStrings__BankOwner"] = database.Owner,
        }).OpenAsync();
        await Task.Delay(settle, cancellation);

        var (spent, logged) = (ProcessorTime.Of(bank.Id), new FileInfo(postgres.Server.LogFile).Length);
        await Task.Delay(time, cancellation);
        spent = ProcessorTime.Of(bank.Id) - spent;
        var asked = (await StatementsAsync(postgres.Server.LogFile, logged, cancellation)).CountBy(statement => statement)
            .OrderByDescending(count => count.Value).ToList();
        await postgres.AsSuperuserAsync($"ALTER DATABASE {database.Name} RESET log_min_duration_statement");
        return (
            [
                new("idle host, processor", 100 * spent / time, "% of a core"),
                new("idle host, its most frequent statement", asked.FirstOrDefault().Value / time.TotalSeconds, "1/s"),
                new("idle host, all statements", asked.Sum(count => count.Value) / time.TotalSeconds, "1/s"),
            ],
            asked);
    }

    private static async Task<IEnumerable<string>> StatementsAsync(string log, long from, CancellationToken cancellation)
    {
        await using var file = new FileStream(log, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        file.Seek(from, SeekOrigin.Begin);
        using var reader = new StreamReader(file);
        // The lines of a statement after its first begin with a tab.
        return Executed().Matches((await reader.ReadToEndAsync(cancellation)).Replace("\n\t", " ", StringComparison.Ordinal))
            .Select(match => Blanks().Replace(match.Groups[1].Value, " ").Trim());
    }

    [GeneratedRegex(@"duration: [\d.]+ ms  (?:statement|execute [^:]*): (.*)")]
    private static partial Regex Executed();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();
}
