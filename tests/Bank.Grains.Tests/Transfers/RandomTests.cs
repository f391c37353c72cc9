using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Bank.Host;
using Bank.Host.Commands;
using Bank.Testing;
using Npgsql;
using Xunit;

namespace Bank.Grains.Tests.Transfers;

/// <summary>
/// The product as its clients see it: many of them, who do whatever comes to their minds, retry until they are answered, and repeat what
/// they or others did before, while the bank is killed again and again.
/// </summary>
public sealed class RandomTests(PrivatePostgres postgres) : IDisposable
{
    private const int Clients = 64;
    private const int KeptInDollars = 10;
    private const int KeptInEuros = 2;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan BetweenKills = TimeSpan.FromSeconds(5);

    /// <summary>One command, the same each time that it is sent.</summary>
    private sealed record Act(string Path, string Key, JsonObject Body);

    /// <summary>An answer, as far as it must never change.</summary>
    private sealed record Outcome(HttpStatusCode Status, string? Code, string? Id, string? Transfer, string? Balance, string? Position);

    // In the suite 10 seconds and one process; on demand as many as BANK_SAGA_SECONDS and BANK_SAGA_SILOS say, killed in turn.
    private static TimeSpan Duration => TimeSpan.FromSeconds(Setting("BANK_SAGA_SECONDS", 10));

    private static int Silos => Setting("BANK_SAGA_SILOS", 1);

    private readonly ConcurrentDictionary<string, (Act Act, Outcome Outcome)> acknowledged = [];
    private readonly ConcurrentQueue<string> wrong = [];
    private readonly ConcurrentQueue<Act> sent = [];
    private readonly HttpClient client = new() { Timeout = TimeSpan.FromSeconds(30) };
    private Uri[] addresses = [];
    private List<string> accounts = [];
    private volatile bool ending;

    public void Dispose() => client.Dispose();

    [Fact]
    public async Task Whatever_clients_do_while_the_bank_is_killed_no_money_is_lost_and_no_answer_changes()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var app = NpgsqlDataSource.Create(database.App);
        var environments = Enumerable.Range(0, Silos).Select(_ => EnvironmentOf(database)).ToArray();
        BankProcess?[] banks = await Task.WhenAll(environments.Select(StartAsync));
        try
        {
            addresses = [.. banks.Select(bank => new Uri(bank!.Address, "/api/v1/"))];
            accounts = [.. await Task.WhenAll(Enumerable.Range(0, KeptInDollars + KeptInEuros).Select(OpenAsync))];
            var clients = Enumerable.Range(0, Clients).Select(ActAsync).ToList();

            var clock = Stopwatch.StartNew();
            for (var kill = 0; clock.Elapsed < Duration; kill = (kill + 1) % banks.Length)
            {
                await Task.Delay(BetweenKills, TestContext.Current.CancellationToken);
                banks[kill]!.Kill();
                await banks[kill]!.EndAsync();
                await banks[kill]!.DisposeAsync();
                banks[kill] = null;
                banks[kill] = await StartAsync(environments[kill]);
            }

            ending = true;
            await Task.WhenAll(clients);
            clock.Restart();
            await Eventually.UntilAsync("every transfer has ended", () => RunningAsync(app), running => running == 0, Patience);
            // Three times the 15 s that are promised; on demand the promise.
            Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(15) * (Duration > TimeSpan.FromSeconds(10) ? 1 : 3));
            await Task.WhenAll(acknowledged.Values.Chunk(100).Take(Clients).Select(async chunk =>
            {
                foreach (var (act, _) in chunk.Take(10))
                    await DoAsync(act);
            }));
        }
        finally
        {
            foreach (var bank in banks.OfType<BankProcess>())
                await bank.DisposeAsync();
        }

        Assert.Empty(wrong);
        var report = await Check.ReadAsync(database.App, TestContext.Current.CancellationToken);
        Assert.Empty(report.Violations);
        Assert.All(report.Currencies, currency => Assert.Equal(0, decimal.Parse(currency.InFlight!, CultureInfo.InvariantCulture)));
        TestContext.Current.TestOutputHelper!.WriteLine($"{acknowledged.Count} acts acknowledged, {report.Position} events");
        // It is worth something only if it got somewhere.
        Assert.InRange(acknowledged.Count, Clients, int.MaxValue);
    }

    // As its supervisor does. One of several silos that is too slow at its start is declared dead by the others, and ends.
    private static async Task<BankProcess> StartAsync(Dictionary<string, string?> environment)
    {
        for (var starts = 1; ; starts++)
        {
            var bank = BankProcess.Start(["up"], environment);
            try
            {
                return await bank.OpenAsync();
            }
            catch (Exception e)
            {
                await bank.DisposeAsync();
                if (e is not InvalidOperationException || Silos == 1 || starts == 5)
                    throw;
            }
        }
    }

    // The same after each restart, so that clients and the cluster know it again.
    private static Dictionary<string, string?> EnvironmentOf(TestDatabase database) => new()
    {
        ["ConnectionStrings__Bank"] = database.App,
        ["ConnectionStrings__BankOwner"] = database.Owner,
        ["BANK_ACCEPT_LOSING_MONEY"] = "1",
        ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{Ports.PreferredOrFree(0)}",
        ["Orleans__Endpoints__SiloPort"] = $"{Ports.PreferredOrFree(0)}",
        ["Orleans__Endpoints__GatewayPort"] = $"{Ports.PreferredOrFree(0)}",
    };

    private static int Setting(string variable, int normally) =>
        Environment.GetEnvironmentVariable(variable) is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : normally;

    private async Task<string> OpenAsync(int n)
    {
        // The last of each currency are empty, so that they can be closed before somebody pays them.
        var deposit = n is KeptInDollars - 1 or KeptInDollars ? "0" : "100.00";
        using var answer = await client.PostAsJsonAsync(
            new Uri(addresses[0], "accounts"),
            new { owner_name = $"Owner {n}", initial_deposit = deposit, currency = n < KeptInDollars ? "USD" : "EUR" });
        return (string)(await answer.Content.ReadFromJsonAsync<JsonNode>())!["account_id"]!;
    }

    private async Task ActAsync(int number)
    {
        var random = new Random(number);
        for (var n = 0; !ending; n++)
            await DoAsync(random.Next(10) == 0 && sent.TryDequeue(out var earlier) ? earlier : Invent(random, $"{number}-{n}"));
    }

    private Act Invent(Random random, string key)
    {
        var amount = string.Create(CultureInfo.InvariantCulture, $"{random.Next(1, 3000) / 100m:0.00}");
        return random.Next(20) switch
        {
            0 => new($"accounts/{Any()}/close", key, new() { ["reason"] = "random" }),
            < 4 => new($"accounts/{Any()}/deposit", key, new() { ["amount"] = amount }),
            < 7 => new($"accounts/{Any()}/withdraw", key, new() { ["amount"] = amount }),
            _ => new($"accounts/{Any()}/transfer", key, new() { ["to_account_id"] = Any(), ["amount"] = amount }),
        };

        // Now and then an account that does not exist.
        string Any() => random.Next(30) == 0 ? $"{new Guid(random.Next(), 0, 0, new byte[8])}" : accounts[random.Next(accounts.Count)];
    }

    // Until it is answered for good: whatever says "try again", or says nothing, is tried again with the same key.
    private async Task DoAsync(Act act)
    {
        var waits = Stopwatch.StartNew();
        for (var attempt = act.Key.Length; waits.Elapsed < Patience; attempt++)
        {
            try
            {
                var to = new Uri(addresses[attempt % addresses.Length], act.Path);
                using var request = new HttpRequestMessage(HttpMethod.Post, to) { Content = JsonContent.Create(act.Body) };
                request.Headers.Add("Idempotency-Key", act.Key);
                using var answer = await client.SendAsync(request);
                if (answer.StatusCode == HttpStatusCode.Accepted && acknowledged.TryGetValue(act.Path + act.Key, out var told))
                    wrong.Enqueue($"{act} was {told.Outcome}, and then it was running");
                if (answer.StatusCode is not (HttpStatusCode.ServiceUnavailable or HttpStatusCode.Conflict or HttpStatusCode.Accepted))
                {
                    Judge(act, answer.StatusCode, await answer.Content.ReadFromJsonAsync<JsonNode>());
                    return;
                }
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException or IOException)
            {
                // The bank has been killed, or is on its way back.
            }

            await Task.Delay(50);
        }

        wrong.Enqueue($"{act} was not answered");
    }

    private void Judge(Act act, HttpStatusCode status, JsonNode? body)
    {
        var outcome = new Outcome(
            status,
            (string?)body?["code"],
            (string?)(body?["transfer_id"] ?? body?["event_id"]),
            (string?)(body?["transfer_status"] ?? body?["status"]?.ToString()),
            (string?)body?["balance"],
            body?["transfer_id"] is null ? body?["position"]?.ToString() : null);
        var isRecorded = status == HttpStatusCode.OK || outcome.Id is not null;
        var isRefusal = status is HttpStatusCode.UnprocessableEntity or HttpStatusCode.NotFound;
        if (!isRecorded && !isRefusal)
            wrong.Enqueue($"{act}: {status} {body}");
        if (!isRecorded)
            return;
        var first = acknowledged.GetOrAdd(act.Path + act.Key, (act, outcome)).Outcome;
        if (first != outcome)
            wrong.Enqueue($"{act} was {first}, and then {outcome}");
        sent.Enqueue(act);
    }

    private static async Task<long> RunningAsync(NpgsqlDataSource app)
    {
        await using var command = app.CreateCommand(
            """
            SELECT count(*) FILTER (WHERE event_type = 'TransferRequested')
                - count(*) FILTER (WHERE event_type IN ('TransferCompleted', 'TransferRejected', 'TransferFailed'))
            FROM journal.events
            """);
        return (long)(await command.ExecuteScalarAsync())!;
    }
}
