using System.Diagnostics;
using System.Text.Json;
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
    private const int Rounds = 5;
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
        for (var n = 0; n < 2 * Enough; n++)
            (await TimedAsync(taken, client, $"/api/v1/totals/daily?{day}currency=USD")).Dispose();
        for (var n = 0; n < 2 * Enough; n++)
        {
            var of = ReadModelRows.Account(n % ReadModelRows.Accounts);
            (await TimedAsync(taken, client, $"/api/v1/accounts/{of}/transactions")).Dispose();
        }

        Judge("days, and first pages of accounts", taken);
    }

    private static async Task ReadAsync(HttpClient client, string list, long? items)
    {
        var taken = new List<TimeSpan>();
        // What has many pages is read in several rounds.
        do
        {
            var (seen, cursor) = (new HashSet<Guid>(), (string?)null);
            do
            {
                using var page = await TimedAsync(taken, client, $"{list}limit=100{(cursor is null ? "" : $"&cursor={cursor}")}");
                foreach (var item in page.RootElement.GetProperty("items").EnumerateArray())
                {
                    var id = item.EnumerateObject().First(p => p.Name is "event_id" or "transfer_id" or "account_id").Value.GetGuid();
                    Assert.True(seen.Add(id), $"{id} comes again");
                }

                cursor = page.RootElement.GetProperty("next_cursor").GetString();
            }
            while (cursor is not null && taken.Count % Pages > 0);
            if (items is { } all && cursor is null)
                Assert.Equal(all, seen.Count);
            Assert.True(seen.Count > 0, list);
        }
        while (taken.Count is >= Enough and < Rounds * Pages);
        Judge(list, taken);
    }

    // Until all of it is here: what the client makes of it takes its own time, and little memory, which the bank's collector has to clear.
    private static async Task<JsonDocument> TimedAsync(List<TimeSpan> taken, HttpClient client, string path)
    {
        var asked = Stopwatch.GetTimestamp();
        var page = await client.GetByteArrayAsync(path, Cancellation);
        taken.Add(Stopwatch.GetElapsedTime(asked));
        return JsonDocument.Parse(page);
    }

    private static void Judge(string what, List<TimeSpan> taken)
    {
        // The first ones find nothing compiled, and no plan. Of the rounds' p99s the median, since whatever else the machine does, and the
        // hypervisor below it, hits about one page of a hundred.
        var rounds = taken.Skip(Math.Min(Enough, taken.Count / 2)).Chunk(Pages).Select(r => r.Order().ToList()).ToList();
        var p50 = Median(rounds.Select(r => r[r.Count / 2]));
        var p99s = rounds.Select(r => r[(int)(0.99 * (r.Count - 1))]).ToList();
        var p99 = Median(p99s);
        TestContext.Current.TestOutputHelper!.WriteLine(
            $"{what}: {taken.Count} pages, p50 {p50.TotalMilliseconds:0.0} ms, p99 {p99.TotalMilliseconds:0.0} ms"
                + $" ({string.Join(", ", p99s.Select(r => $"{r.TotalMilliseconds:0.0}"))})");
        // Of a few pages, all are first ones.
        if (ReadModelRows.Count >= Large && taken.Count >= Enough)
            Assert.InRange(p99, TimeSpan.Zero, Promised);
    }

    private static TimeSpan Median(IEnumerable<TimeSpan> values)
    {
        var sorted = values.Order().ToList();
        return sorted[sorted.Count / 2];
    }
}
