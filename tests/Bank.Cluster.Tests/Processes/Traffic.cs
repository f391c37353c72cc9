using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Bank.Testing;
using Npgsql;
using Xunit;

namespace Bank.Cluster.Tests.Processes;

/// <summary>A command as its client saw it, repetitions included.</summary>
/// <param name="Account">Whose it was.</param>
/// <param name="Sent">When it was sent first, by the traffic's clock.</param>
/// <param name="Ended">When its client knew how it had ended.</param>
internal readonly record struct Told(Guid Account, TimeSpan Sent, TimeSpan Ended)
{
    public TimeSpan Took => Ended - Sent;
}

/// <summary>
/// Clients of a cluster's gateways, which take the gateways in turn. Each is the only one to use its account, so it knows what every
/// answer has to say: a balance, a version or a refusal that contradicts what it was told before is a complaint. Beside them, pairs of
/// accounts between which money is sent to and fro. A command is repeated with its key until its end is known.
/// </summary>
internal sealed class Traffic : IDisposable
{
    private const int OpeningCents = 100_000;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private readonly IReadOnlyList<Uri> _gateways;
    private readonly HttpClient _http;
    private readonly TimeSpan _think;
    private readonly List<Client> _clients = [];
    private readonly List<(Guid One, Guid Other)> _pairs = [];
    private readonly ConcurrentBag<Told> _told = [];
    private readonly ConcurrentBag<Guid> _transfers = [];
    private readonly ConcurrentBag<string> _complaints = [];
    private readonly ConcurrentBag<string> _failures = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly long _started = Stopwatch.GetTimestamp();
    private volatile IReadOnlyList<Uri> _ready;
    private Task _working = Task.CompletedTask;

    /// <param name="gateways">Where to ask.</param>
    /// <param name="attempt">How long one attempt may take before the other gateway is asked.</param>
    /// <param name="think">How long a client waits between its commands.</param>
    private Traffic(IReadOnlyList<Uri> gateways, TimeSpan attempt, TimeSpan think)
    {
        (_gateways, _ready) = (gateways, gateways);
        _think = think;
        _http = new(new SocketsHttpHandler { ConnectTimeout = TimeSpan.FromSeconds(2) }) { Timeout = attempt };
    }

    /// <summary>The time by which commands are told.</summary>
    public TimeSpan Now => Stopwatch.GetElapsedTime(_started);

    /// <summary>Commands that have ended.</summary>
    public IReadOnlyCollection<Told> Commands => _told;

    /// <summary>Requests that were not answered for good the first time, and how they ended.</summary>
    public IReadOnlyCollection<string> Failures => _failures;

    public IEnumerable<Guid> Accounts => _clients.Select(client => client.Account);

    /// <summary>Opens the accounts, asks for each through each gateway, and lets the clients begin.</summary>
    public static async Task<Traffic> BeginAsync(
        IReadOnlyList<Uri> gateways, int clients, TimeSpan? attempt = null, TimeSpan? think = null)
    {
        var traffic = new Traffic(gateways, attempt ?? TimeSpan.FromSeconds(60), think ?? TimeSpan.Zero);
        for (var i = 0; i < clients; i++)
        {
            var client = new Client(traffic, await traffic.OpenAsync(), i);
            traffic._clients.Add(client);
            for (var gateway = 0; gateway < gateways.Count; gateway++)
                await client.ActAsync();
        }

        for (var pair = 0; pair < Math.Max(2, clients / 8); pair++)
            traffic._pairs.Add((await traffic.OpenAsync(), await traffic.OpenAsync()));
        traffic._working = Task.WhenAll([
            .. traffic._clients.Select(client => traffic.RepeatAsync(client.ActAsync)),
            .. traffic._pairs.Select((pair, i) => traffic.RepeatAsync(n => traffic.SendAsync(pair, n, i))),
        ]);
        return traffic;
    }

    /// <summary>Asks each gateway every half second whether it is ready; from now on only those that are get requests.</summary>
    public async Task FollowReadinessAsync()
    {
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(1) };
        var ready = new ConcurrentDictionary<Uri, bool>();
        await Task.WhenAll(_gateways.Select(async gateway =>
        {
            while (!_stop.IsCancellationRequested)
            {
                ready[gateway] = await IsReadyAsync(gateway);
                _ready = [.. _gateways.Where(known => ready.GetValueOrDefault(known))];
                await Task.Delay(500, CancellationToken.None);
            }
        }));

        async Task<bool> IsReadyAsync(Uri gateway)
        {
            try
            {
                using var answer = await client.GetAsync(new Uri(gateway, "/health/ready"));
                return answer.IsSuccessStatusCode;
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
            {
                return false;
            }
        }
    }

    /// <summary>Lets every client end what it has begun.</summary>
    public async Task EndAsync()
    {
        await _stop.CancelAsync();
        await _working.WaitAsync(LocalCluster.Patience);
    }

    /// <summary>
    /// Holds every answer against the journal, and the read models against a fold of it: nothing acknowledged is missing, nothing is done
    /// twice, versions have no gap, transfers have ended.
    /// </summary>
    public async Task AuditAsync(string database)
    {
        Assert.True(_complaints.IsEmpty, string.Join('\n', _complaints));
        await using var source = NpgsqlDataSource.Create(database);
        foreach (var client in _clients)
        {
            await using var command = source.CreateCommand(
                $"SELECT event_id, version FROM journal.events WHERE stream_id = 'account-{client.Account}' ORDER BY version");
            await using var reader = await command.ExecuteReaderAsync();
            var recorded = new List<Guid>();
            while (await reader.ReadAsync())
            {
                recorded.Add(reader.GetGuid(0));
                Assert.Equal(recorded.Count, reader.GetInt64(1));
            }

            Assert.Equal(client.Events, recorded[1..]);
        }

        await Eventually.UntilAsync(
            "every transfer has ended",
            async () =>
            {
                await using var open = source.CreateCommand(
                    """
                    SELECT count(*) FILTER (WHERE NOT ended), count(*) FROM (
                        SELECT bool_or(event_type IN ('TransferCompleted', 'TransferRejected', 'TransferFailed')) AS ended
                        FROM journal.events WHERE stream_id LIKE 'transfer-%' GROUP BY stream_id) t
                    """);
                await using var reader = await open.ExecuteReaderAsync();
                await reader.ReadAsync();
                return (reader.GetInt64(0) == 0, $"{reader.GetInt64(0)} of {reader.GetInt64(1)} have not");
            },
            LocalCluster.Patience);
        await using (var known = source.CreateCommand("SELECT DISTINCT substr(stream_id, 10)::uuid FROM journal.events "
            + "WHERE event_type = 'TransferCompleted'"))
        await using (var reader = await known.ExecuteReaderAsync())
        {
            var completed = new HashSet<Guid>();
            while (await reader.ReadAsync())
                completed.Add(reader.GetGuid(0));
            Assert.Superset(_transfers.ToHashSet(), completed);
        }

        var report = await Host.Commands.Check.ReadAsync(database, CancellationToken.None);
        Assert.Empty(report.Violations);
        var folded = await ReadModel.Tests.JournalFold.OfJournalAsync(source);
        await Eventually.UntilAsync(
            "the read models equal a fold of the journal",
            async () =>
            {
                var tables = await ReadModel.Tests.JournalFold.OfTablesAsync(source);
                var differs = folded.FirstOrDefault(table => !table.Value.SequenceEqual(tables[table.Key]));
                return (differs.Key is null, differs.Key);
            },
            LocalCluster.Patience);
    }

    public void Dispose()
    {
        _stop.Cancel();
        _stop.Dispose();
        _http.Dispose();
    }

    private async Task RepeatAsync(Func<int, Task> act)
    {
        for (var n = 0; !_stop.IsCancellationRequested; n++)
        {
            await act(n);
            await Task.Delay(_think, CancellationToken.None);
        }
    }

    private async Task<Guid> OpenAsync() =>
        (await UntilEndedAsync(0, HttpMethod.Post, "accounts", """{"owner_name": "Ada", "initial_deposit": "1000.00"}"""))
        .Body.GetProperty("account_id").GetGuid();

    private async Task SendAsync((Guid One, Guid Other) pair, int n, int gateway)
    {
        var (from, to) = n % 2 == 0 ? pair : (pair.Other, pair.One);
        var (status, body) = await UntilEndedAsync(
            n + gateway, HttpMethod.Post, $"accounts/{from}/transfer", $$"""{"to_account_id": "{{to}}", "amount": "1.00"}""");
        if (status is HttpStatusCode.OK or HttpStatusCode.Accepted)
            _transfers.Add(body.GetProperty("transfer_id").GetGuid());
        else
            _complaints.Add($"transfer {from} {to}: {status} {body}");
    }

    // The end of a command, or of a strong read: what says that it may have happened, or that somebody was away, is asked again.
    private async Task<(HttpStatusCode Status, JsonElement Body)> UntilEndedAsync(
        int gateway, HttpMethod method, string path, string? request = null)
    {
        var key = Guid.NewGuid().ToString();
        for (; ; gateway++)
        {
            if (_ready is not { Count: > 0 } ready)
            {
                await Task.Delay(Pause);
                continue;
            }

            var asked = Now;
            var address = ready[gateway % ready.Count];
            try
            {
                using var message = new HttpRequestMessage(method, new Uri(address, $"/api/v1/{path}"));
                if (request is not null)
                {
                    message.Content = new StringContent(request, Encoding.UTF8, "application/json");
                    message.Headers.Add("Idempotency-Key", key);
                }

                using var response = await _http.SendAsync(message);
                if (response.StatusCode is not (HttpStatusCode.ServiceUnavailable or HttpStatusCode.Conflict))
                    return (response.StatusCode, await response.Content.ReadFromJsonAsync<JsonElement>());
                _failures.Add($"{asked} to {Now}, {address}: {response.StatusCode} {await response.Content.ReadAsStringAsync()}");
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException or IOException)
            {
                // Nobody is there, it went away in the middle, or it took too long.
                _failures.Add($"{asked} to {Now}, {address}: {e.Message} {e.InnerException?.Message}");
            }

            await Task.Delay(Pause);
        }
    }

    /// <summary>Who uses an account, and what it knows of it.</summary>
    private sealed class Client(Traffic traffic, Guid account, int seed)
    {
        private readonly Random _random = new(seed);
        private readonly List<Guid> _events = [];
        private long _cents = OpeningCents;
        private int _turn = seed;

        public Guid Account => account;

        /// <summary>What it was told is recorded, in order.</summary>
        public IReadOnlyList<Guid> Events => _events;

        public Task ActAsync(int n = 0) => _random.Next(8) switch
        {
            0 => ReadAsync(),
            < 5 => MoveAsync("deposit", _random.Next(1, 20_000)),
            // Sometimes more than is there.
            _ => MoveAsync("withdraw", -_random.NextInt64(1, _cents + _cents / 4 + 2)),
        };

        private async Task MoveAsync(string kind, long change)
        {
            var amount = (Math.Abs(change) / 100m).ToString("0.00", CultureInfo.InvariantCulture);
            var sent = traffic.Now;
            var (status, body) = await traffic.UntilEndedAsync(
                _turn++, HttpMethod.Post, $"accounts/{account}/{kind}", $$"""{"amount": "{{amount}}"}""");
            traffic._told.Add(new(account, sent, traffic.Now));
            if (_cents + change < 0)
            {
                Expect(status == HttpStatusCode.UnprocessableEntity, kind, status, body);
                return;
            }

            if (!Expect(status == HttpStatusCode.OK, kind, status, body))
                return;
            _cents += change;
            _events.Add(body.GetProperty("event_id").GetGuid());
            Expect(Agrees(body), kind, status, body);
        }

        private async Task ReadAsync()
        {
            var sent = traffic.Now;
            var (status, body) = await traffic.UntilEndedAsync(_turn++, HttpMethod.Get, $"accounts/{account}?consistency=strong");
            traffic._told.Add(new(account, sent, traffic.Now));
            Expect(status == HttpStatusCode.OK && Agrees(body), "read", status, body);
        }

        private bool Agrees(JsonElement body) =>
            body.GetProperty("version").GetInt64() == _events.Count + 1
            && decimal.Parse(body.GetProperty("balance").GetString()!, CultureInfo.InvariantCulture) * 100 == _cents;

        private bool Expect(bool agrees, string what, HttpStatusCode status, JsonElement body)
        {
            if (!agrees)
                traffic._complaints.Add($"{account} has {_cents} cents at version {_events.Count + 1}; {what}: {status} {body}");
            return agrees;
        }
    }
}
