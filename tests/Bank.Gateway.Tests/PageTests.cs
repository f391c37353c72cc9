using System.Diagnostics;
using System.Text.Json.Nodes;
using Bank.Testing;
using Npgsql;
using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>
/// Lists over HTTP, page by page, on tables as large as <see cref="ReadModelRows"/> makes them. How long a page takes is asserted where
/// they are large, which is on demand.
/// </summary>
public sealed class PageTests(PrivatePostgres postgres)
{
    private const int Large = 1_000_000;
    private const int Pages = 1_000;
    private const int Enough = 100;
    private static readonly TimeSpan Promised = TimeSpan.FromMilliseconds(10);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Lists_are_read_page_by_page_without_a_gap_or_a_repeat()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var bank = await TestBank.StartAsync(database);
        await using (var app = NpgsqlDataSource.Create(database.App))
            await ReadModelRows.FillAsync(app);
        var account = ReadModelRows.Account(1);
        var day = ReadModelRows.Count <= 30_000 ? "" : "from=2026-01-01&to=2026-01-31&";
        (string List, long Items)[] lists =
        [
            ("/api/v1/accounts?", ReadModelRows.Count / 10),
            ("/api/v1/accounts?status=closed&", ReadModelRows.Count / 10 / 50),
            ("/api/v1/accounts?owner=owner%207&", (ReadModelRows.Count / 10 - 7) / 1000 + 1),
            ($"/api/v1/accounts/{account}/transactions?", (ReadModelRows.Count - 1) / ReadModelRows.Accounts + 1),
            ("/api/v1/transfers?", ReadModelRows.Count),
            ("/api/v1/transfers?status=running&", ReadModelRows.Count / 100),
        ];
        using var client = new HttpClient { BaseAddress = bank.Address };
        foreach (var (list, items) in lists)
            await ReadAsync(client, list, items);
        await ReadAsync(client, $"/api/v1/transfers?account={account}&", null);

        var taken = new List<TimeSpan>();
        for (var n = 0; n < 200; n++)
            await TimedAsync(taken, client, $"/api/v1/totals/daily?{day}currency=USD");
        for (var n = 0; n < 200; n++)
            await TimedAsync(taken, client, $"/api/v1/accounts/{ReadModelRows.Account(n % ReadModelRows.Accounts)}/transactions");
        Judge("days, and first pages of accounts", taken);
    }

    private static async Task ReadAsync(HttpClient client, string list, long? items)
    {
        var (seen, taken, cursor) = (new HashSet<string>(), new List<TimeSpan>(), (string?)null);
        var read = 0L;
        do
        {
            var page = await TimedAsync(taken, client, $"{list}limit=100{(cursor is null ? "" : $"&cursor={cursor}")}");
            foreach (var item in page["items"]!.AsArray())
                Assert.True(seen.Add((string)(item!["event_id"] ?? item["transfer_id"] ?? item["account_id"])!), $"{item} comes again");
            read += page["items"]!.AsArray().Count;
            cursor = (string?)page["next_cursor"];
        }
        while (cursor is not null && taken.Count < Pages);
        if (items is { } all && cursor is null)
            Assert.Equal(all, read);
        Assert.True(read > 0, list);
        Judge(list, taken);
    }

    // Until all of it is here: what the client makes of it takes its own time.
    private static async Task<JsonNode> TimedAsync(List<TimeSpan> taken, HttpClient client, string path)
    {
        var asked = Stopwatch.GetTimestamp();
        var page = await client.GetByteArrayAsync(path, Cancellation);
        taken.Add(Stopwatch.GetElapsedTime(asked));
        return JsonNode.Parse(page)!;
    }

    private static void Judge(string what, List<TimeSpan> taken)
    {
        // The first ones find nothing compiled, and no plan.
        var sorted = taken.Skip(Math.Min(20, taken.Count / 2)).Order().ToList();
        var p99 = sorted[(int)(0.99 * (sorted.Count - 1))];
        TestContext.Current.SendDiagnosticMessage(
            $"{what}: {taken.Count} pages, p50 {sorted[sorted.Count / 2].TotalMilliseconds:0.0} ms, p99 {p99.TotalMilliseconds:0.0} ms");
        // Of a few pages, all are first ones.
        if (ReadModelRows.Count >= Large && taken.Count >= Enough)
            Assert.InRange(p99, TimeSpan.Zero, Promised);
    }
}
