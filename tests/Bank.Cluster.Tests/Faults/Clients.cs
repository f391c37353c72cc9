using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Npgsql;
using Xunit;

namespace Bank.Cluster.Tests.Faults;

/// <summary>
/// Clients of the REST API that send every command again, with its key, until they know how it has ended; and the auditor who holds what
/// they were told against the journal.
/// </summary>
internal sealed class Clients : IDisposable
{
    private const int Accounts = 20;
    private const int OpeningCents = 100_000;

    private readonly HttpClient _http;
    private readonly string[] _accounts = new string[Accounts];
    private readonly ConcurrentBag<(int Account, Guid Event, long Version, long Change)> _done = [];
    private readonly ConcurrentBag<string> _complaints = [];
    private readonly ConcurrentDictionary<string, int> _problems = [];
    private int _acknowledged;

    public Clients(Uri address) => _http = new(new SocketsHttpHandler { ConnectTimeout = TimeSpan.FromSeconds(5) })
    {
        BaseAddress = address,
        Timeout = TimeSpan.FromSeconds(60),
    };

    /// <summary>Commands that have been acknowledged so far.</summary>
    public int Acknowledged => Volatile.Read(ref _acknowledged);

    /// <summary>How often each 503 was answered, by its code.</summary>
    public IReadOnlyDictionary<string, int> Problems => _problems;

    /// <summary>Opens the accounts.</summary>
    public async Task OpenAsync()
    {
        for (var i = 0; i < Accounts; i++)
        {
            var body = await UntilEndedAsync("/api/v1/accounts", """{"owner_name": "Ada", "initial_deposit": "1000.00"}""");
            _accounts[i] = body!.Value.GetProperty("account_id").GetString()!;
        }
    }

    /// <summary>One command after the other by each of so many clients, until told to stop; then each ends what it has begun.</summary>
    public Task RunAsync(int clients, CancellationToken stop) => Task.WhenAll(Enumerable.Range(0, clients).Select(async client =>
    {
        var random = new Random(client);
        while (!stop.IsCancellationRequested)
        {
            var (account, withdraws, cents) = (random.Next(Accounts), random.Next(2) == 0, random.Next(1, 20_000));
            var amount = (cents / 100m).ToString("0.00", CultureInfo.InvariantCulture);
            var body = await UntilEndedAsync(
                $"/api/v1/accounts/{_accounts[account]}/{(withdraws ? "withdraw" : "deposit")}", $$"""{"amount": "{{amount}}"}""");
            if (body is not { } done)
                continue;
            _done.Add((
                account,
                done.GetProperty("event_id").GetGuid(),
                done.GetProperty("version").GetInt64(),
                withdraws ? -cents : cents));
            Interlocked.Increment(ref _acknowledged);
        }
    }));

    /// <summary>Holds every reply against the journal: nothing lost, doubled or invented, no gap, nothing below zero.</summary>
    public async Task AuditAsync(string database)
    {
        Assert.Empty(_complaints);
        await using var source = NpgsqlDataSource.Create(database);
        for (var i = 0; i < Accounts; i++)
        {
            var recorded = new List<(Guid Event, long Balance)>();
            await using (var command = source.CreateCommand(
                $"""
                SELECT version, event_id, ((data ->> 'balance_after')::numeric * 100)::bigint FROM journal.events
                WHERE stream_id = 'account-{_accounts[i]}' ORDER BY version
                """))
            await using (var reader = await command.ExecuteReaderAsync())
                while (await reader.ReadAsync())
                {
                    Assert.Equal(recorded.Count + 1, reader.GetInt64(0));
                    recorded.Add((reader.GetGuid(1), reader.GetInt64(2)));
                }

            var told = _done.Where(d => d.Account == i).ToList();
            Assert.Equal(told.Count + 1, recorded.Count);
            Assert.All(recorded, r => Assert.True(r.Balance >= 0, $"{_accounts[i]} had {r.Balance}"));
            Assert.Equal(OpeningCents + told.Sum(d => d.Change), recorded[^1].Balance);
            foreach (var (_, id, version, change) in told)
            {
                Assert.Equal(id, recorded[(int)version - 1].Event);
                Assert.Equal(change, recorded[(int)version - 1].Balance - recorded[(int)version - 2].Balance);
            }
        }

        await using var positions = source.CreateCommand(
            "SELECT (SELECT position FROM journal.head) = count(*) AND max(position) = count(*) FROM journal.events");
        Assert.True((bool)(await positions.ExecuteScalarAsync())!, "positions have a gap");
    }

    /// <summary>One request, and no other.</summary>
    public async Task<(HttpStatusCode Status, string? Code, TimeSpan? RetryAfter)> AskOnceAsync(string key)
    {
        using var response = await SendAsync($"/api/v1/accounts/{_accounts[0]}/deposit", """{"amount": "1.00"}""", key);
        var body = await ReadAsync(response);
        return (response.StatusCode, CodeOf(body), response.Headers.RetryAfter?.Delta);
    }

    public void Dispose() => _http.Dispose();

    /// <summary>The body of the success; null where the bank has refused.</summary>
    private async Task<JsonElement?> UntilEndedAsync(string path, string request)
    {
        var key = Guid.NewGuid().ToString();
        while (true)
        {
            try
            {
                using var response = await SendAsync(path, request, key);
                var body = await ReadAsync(response);
                switch (response.StatusCode, CodeOf(body))
                {
                    case (HttpStatusCode.OK or HttpStatusCode.Created, _):
                        return body;
                    case (HttpStatusCode.UnprocessableEntity, "insufficient_funds"):
                        return null;
                    case (HttpStatusCode.Conflict, "version_conflict"):
                        continue;
                    case (HttpStatusCode.ServiceUnavailable, ("journal_unavailable" or "outcome_unknown" or "overloaded") and var code)
                        when response.Headers.RetryAfter is not null:
                        _problems.AddOrUpdate(code, 1, (_, n) => n + 1);
                        break;
                    default:
                        _complaints.Add($"{path}: {(int)response.StatusCode} {body}");
                        return null;
                }
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException or IOException)
            {
                // Nobody is there, or went away in the middle.
            }

            await Task.Delay(50);
        }
    }

    private async Task<HttpResponseMessage> SendAsync(string path, string request, string key)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, path)
        {
            Content = new StringContent(request, Encoding.UTF8, "application/json"),
            Headers = { { "Idempotency-Key", key } },
        };
        return await _http.SendAsync(message);
    }

    private static async Task<JsonElement> ReadAsync(HttpResponseMessage response)
    {
        using var document = await JsonDocument.ParseAsync(await response.Content.ReadAsStreamAsync());
        return document.RootElement.Clone();
    }

    private static string? CodeOf(JsonElement body) => body.TryGetProperty("code", out var code) ? code.GetString() : null;
}
