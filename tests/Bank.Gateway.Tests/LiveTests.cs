using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using Bank.Testing;
using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>Live feeds: every client sees exactly its events, in order, however often it comes back.</summary>
public sealed class LiveTests(PrivatePostgres postgres) : IAsyncLifetime
{
    private const int Accounts = 4;
    private const int Depositors = 8;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly int ClientsPerKind = Scale.Of(10, 100);
    private static readonly int EventsPerAccount = Scale.Of(250, 25_000);
    private static readonly int WideEvents = Scale.Of(8_000, 80_000);

    private TestBank bank = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => bank = await TestBank.StartAsync(
        await postgres.CreateDatabaseAsync(),
        [
            new("Gateway:LiveBeat", "00:00:00.2"),
            new("Gateway:LiveWaiting", "2000"),
            new("Gateway:LiveFarewell", "00:00:01"),
        ]);

    public ValueTask DisposeAsync() => bank.DisposeAsync();

    [Fact]
    public async Task Clients_that_come_and_go_see_every_event_once_and_in_order()
    {
        var ids = await Task.WhenAll(Enumerable.Range(0, Accounts).Select(_ => bank.Rest.OpenAsync()));
        var random = new Random(20261124);
        using var counted = new Counted(bank);
        var clients = Enumerable.Range(0, ClientsPerKind).SelectMany(n => new[]
        {
            FollowAsync(FollowEventStreamAsync, ids[n % Accounts], new(random.Next())),
            FollowAsync(FollowWebSocketAsync, ids[n % Accounts], new(random.Next())),
        }).ToList();

        await Task.WhenAll(ids.SelectMany(id => Enumerable.Range(0, Depositors).Select(async depositor =>
        {
            for (var n = depositor; n < EventsPerAccount; n += Depositors)
                (await bank.Rest.DepositAsync(id, "1")).Is(200);
        })));

        var expected = Enumerable.Range(1, EventsPerAccount + 1).Select(n => (long)n).ToList();
        foreach (var seen in await Task.WhenAll(clients))
            Assert.Equal(expected, seen);
        Assert.Empty(bank.Errors);
        foreach (var (instrument, tag) in new[]
            { ("bank.live.events", "sse"), ("bank.live.events", "websocket"), ("journal.tail.wakeups", "notified") })
            Assert.InRange(counted.Of(instrument, tag), 1, long.MaxValue);
        await Eventually.UntilAsync(
            "all clients have gone", () => Task.FromResult(counted.Of("bank.live.clients")), clients => clients == 0, Patience);
    }

    [Fact]
    public async Task Clients_that_do_not_read_are_dropped_and_hurt_nobody()
    {
        var id = await bank.Rest.OpenAsync();
        using var counted = new Counted(bank);
        using var eventStream = await DeafAsync(id, "");
        using var webSocket = await DeafAsync(
            id,
            "Connection: Upgrade\r\nUpgrade: websocket\r\n"
            + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n");

        // More than the sockets' own buffers hold between server and client: some megabytes each.
        var wide = new JsonObject { ["amount"] = "1", ["description"] = string.Concat(Enumerable.Repeat("😀", 500)) }.ToJsonString();
        var reading = FollowAsync(FollowEventStreamAsync, id, new(1), until: WideEvents + 1);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        await Task.WhenAll(Enumerable.Range(0, 100).Select(async _ =>
        {
            for (var n = 0; n < WideEvents / 100; n++)
                (await bank.Rest.PostAsync($"/api/v1/accounts/{id}/deposit", wide)).Is(200);
        }));
        Assert.Equal(WideEvents + 1, (await reading).Count);
        // The events of a run on demand, alone, are 160 MB, and their messages as much again: of either, the window keeps 64 MiB, and
        // whoever does not read keeps nothing. In the suite, tests of other classes run in this process at the same time, and the bound has
        // room for what they hold.
        var grown = GC.GetTotalMemory(forceFullCollection: true) - before;
        TestContext.Current.TestOutputHelper!.WriteLine($"{grown >> 20} MiB more after {WideEvents} events of 2 KB");
        Assert.InRange(grown, long.MinValue, (long)Scale.Of(512, 192) << 20);

        // They are cut off, so that reading on at last comes to an end.
        await CutOffAsync(eventStream);
        await CutOffAsync(webSocket);
        await Eventually.UntilAsync(
            "both have been ended for their slowness",
            () => Task.FromResult(counted.Of("bank.live.ended", "slow_consumer")), ended => ended == 2, Patience);
    }

    [Fact]
    public async Task A_feed_begins_where_it_is_told_to()
    {
        var id = await bank.Rest.OpenAsync("5");
        var deposit = (await bank.Rest.DepositAsync(id, "1")).Is(200).Number("position");
        await bank.Rest.DepositAsync(id, "2");
        using var client = new HttpClient { BaseAddress = bank.Address };

        Assert.Contains(
            $"id: {deposit}\nevent: MoneyDeposited\n", await FirstAsync(client, $"?from_position={deposit}"), StringComparison.Ordinal);
        Assert.Contains("\"balance\":\"8.00\"", await FirstAsync(client, "", $"{deposit}"), StringComparison.Ordinal);
        // Where it is not told, it begins after what is there, and says from time to time that it lives.
        Assert.Equal(": the journal\n\n:\n\n", await FirstAsync(client, "", length: 18));

        (await bank.Rest.GetAsync($"/api/v1/accounts/{id}/live?from_position=999999")).Is(409, "position_beyond_head");
        (await bank.Rest.GetOnceAsync("/api/v1/events/live", ("Last-Event-ID", "999999"))).Is(409, "position_beyond_head");
        using var socket = new ClientWebSocket();
        socket.Options.CollectHttpResponseDetails = true;
        await Assert.ThrowsAsync<WebSocketException>(() => socket.ConnectAsync(
            new($"ws://{bank.Address.Authority}/api/v1/events/live?from_position=999999"), Cancellation));
        Assert.Equal(HttpStatusCode.Conflict, socket.HttpStatusCode);
        (await bank.Rest.GetAsync($"/api/v1/accounts/{Guid.NewGuid()}/live")).Is(404, "account_not_found");
        (await bank.Rest.GetAsync("/api/v1/events/live?from_position=0")).Is(400, "malformed_request");

        async Task<string> FirstAsync(HttpClient http, string query, string? lastEventId = null, int length = 0)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/v1/accounts/{id}/live{query}");
            if (lastEventId is not null)
                request.Headers.Add("Last-Event-ID", lastEventId);
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
            Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
            var text = new StringBuilder();
            var buffer = new char[1];
            while (length > 0 ? text.Length < length : !text.ToString().Contains("\"balance\"", StringComparison.Ordinal))
            {
                await reader.ReadAsync(buffer, Cancellation);
                text.Append(buffer[0]);
            }

            return length > 0 ? text.ToString() : text + (await reader.ReadLineAsync(Cancellation));
        }
    }

    [Fact]
    public async Task A_feed_that_the_server_ends_says_that_it_stops()
    {
        var closing = await TestBank.StartAsync(await postgres.CreateDatabaseAsync());
        var id = await closing.Rest.OpenAsync();
        using var socket = new ClientWebSocket();
        await socket.ConnectAsync(new($"ws://{closing.Address.Authority}/api/v1/accounts/{id}/live"), Cancellation);
        using var client = new HttpClient { BaseAddress = closing.Address };
        using var response = await client.GetAsync(
            $"/api/v1/accounts/{id}/live", HttpCompletionOption.ResponseHeadersRead, Cancellation);
        var closed = closing.DisposeAsync();
        using var feed = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
        var lines = new List<string?>();
        while (!lines.Contains("data: shutting_down"))
            lines.Add(await feed.ReadLineAsync(Cancellation) ?? throw new EndOfStreamException(string.Join('\n', lines)));
        Assert.Equal("event: end", lines[^2]);
        var last = await socket.ReceiveAsync(new byte[64].AsMemory(), Cancellation);
        Assert.Equal((WebSocketMessageType.Close, "shutting_down"), (last.MessageType, socket.CloseStatusDescription));
        await closed;
    }

    // Asks for an account's events, and never reads one.
    private async Task<TcpClient> DeafAsync(Guid account, string headers)
    {
        var client = new TcpClient { ReceiveBufferSize = 4096 };
        await client.ConnectAsync(IPAddress.Loopback, bank.Address.Port, Cancellation);
        await client.GetStream().WriteAsync(
            Encoding.ASCII.GetBytes(
                $"GET /api/v1/accounts/{account}/live?from_position=1 HTTP/1.1\r\nHost: {bank.Address.Authority}\r\n{headers}\r\n"),
            Cancellation);
        return client;
    }

    private static async Task CutOffAsync(TcpClient client)
    {
        var rest = new byte[1 << 16];
        await Eventually.UntilAsync(
            "the client that does not read is cut off",
            async () =>
            {
                try
                {
                    return (await client.GetStream().ReadAsync(rest, Cancellation) == 0, "more");
                }
                catch (IOException)
                {
                    return (true, "reset");
                }
            },
            Patience);
    }

    /// <summary>Follows an account from its beginning over many connections, and returns the versions that it saw.</summary>
    private async Task<List<long>> FollowAsync(
        Func<Guid, long, Func<JsonNode, bool>, Task> follow, Guid account, Random random, int? until = null)
    {
        var end = until ?? EventsPerAccount + 1;
        var seen = new List<long>();
        var last = 0L;
        while (seen.Count < end)
        {
            var left = random.Next(1, end);
            await follow(account, last, message =>
            {
                last = (long)message["position"]!;
                seen.Add((long)message["version"]!);
                return --left > 0 && seen.Count < end;
            });
        }

        return seen;
    }

    private async Task FollowEventStreamAsync(Guid account, long after, Func<JsonNode, bool> take)
    {
        using var client = new HttpClient { BaseAddress = bank.Address };
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/v1/accounts/{account}/live");
        request.Headers.Add("Last-Event-ID", $"{after}");
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
        try
        {
            while (await reader.ReadLineAsync(Cancellation) is { } line)
            {
                if (line.StartsWith("data: {", StringComparison.Ordinal) && !take(JsonNode.Parse(line[6..])!))
                    return;
            }
        }
        catch (IOException)
        {
            // Cut off, since it was slower than the others' deposits: it comes back, like one that was told so.
        }
    }

    private async Task FollowWebSocketAsync(Guid account, long after, Func<JsonNode, bool> take)
    {
        using var socket = new ClientWebSocket();
        await socket.ConnectAsync(
            new($"ws://{bank.Address.Authority}/api/v1/accounts/{account}/live?from_position={after + 1}"), Cancellation);
        var buffer = new byte[1 << 14];
        try
        {
            ValueWebSocketReceiveResult received;
            do
            {
                received = await socket.ReceiveAsync(buffer.AsMemory(), Cancellation);
                if (received.MessageType == WebSocketMessageType.Close)
                    return;
                Assert.True(received.EndOfMessage);
            }
            while (take(JsonNode.Parse(buffer.AsSpan(0, received.Count))!));
            await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, Cancellation);
        }
        catch (WebSocketException)
        {
            // Likewise; or the goodbye met a message on its way, which it cut off.
        }
    }
}

/// <summary>What instruments of one bank have counted since.</summary>
internal sealed class Counted : IDisposable
{
    private readonly MeterListener listener = new();
    private readonly ConcurrentDictionary<(string Name, string? Tag), long> sums = [];

    public Counted(TestBank bank)
    {
        listener.InstrumentPublished = (instrument, self) =>
        {
            // Others run in this process, too.
            if (ReferenceEquals(instrument.Meter.Scope, bank.Meters))
                self.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
        {
            sums.AddOrUpdate((instrument.Name, null), value, (_, before) => before + value);
            foreach (var tag in tags)
                if (tag.Value is string text)
                    sums.AddOrUpdate((instrument.Name, text), value, (_, before) => before + value);
        });
        listener.Start();
    }

    /// <summary>The sum of an instrument's measurements, of all or of those with a tag of this value.</summary>
    public long Of(string instrument, string? tag = null) => sums.GetValueOrDefault((instrument, tag));

    public void Dispose() => listener.Dispose();
}
