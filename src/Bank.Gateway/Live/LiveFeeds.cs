using System.Buffers;
using System.Globalization;
using System.Net.WebSockets;
using System.Text;
using Bank.Domain;
using Bank.Gateway.Problems;
using Bank.Gateway.Requests;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Hosting;
using Orleans.EventSourcing.Postgres;

namespace Bank.Gateway.Live;

/// <summary>
/// The journal as it grows, to whoever listens: as server-sent events, or over a WebSocket. Each client gets every event once, in order,
/// whether it comes from history or from the head, and can go on from the last one that it saw.
/// </summary>
internal sealed class LiveFeeds(
    JournalTailer tailer,
    IJournalReader journal,
    LiveMessages messages,
    LiveMetrics metrics,
    BankGatewayOptions options,
    IHostApplicationLifetime lifetime,
    TimeProvider time)
{
    private const string LastEventId = "Last-Event-ID";
    private const string ServerSentEvents = "sse";
    private const string WebSockets = "websocket";
    private const string ShuttingDown = "shutting_down";

    private readonly IJournalReader _journal = journal;

    public static void MapLive(IEndpointRouteBuilder api)
    {
        api.MapGet("/events/live", (HttpContext http, LiveFeeds feeds) => feeds.ServeAsync(http, null));
        api.MapGet("/accounts/{id}/live", async (string id, HttpContext http, LiveFeeds feeds) =>
        {
            var account = Accounts.InPath(id);
            return await feeds._journal.ReadStreamAsync(account.StreamId, 1, 1, http.RequestAborted) is []
                ? new Problem(ProblemCode.AccountNotFound)
                : await feeds.ServeAsync(http, account);
        });
    }

    private async Task<IResult> ServeAsync(HttpContext http, AccountId? account)
    {
        var after = await WhereToBeginAsync(http);
        JournalSubscription subscription;
        try
        {
            subscription = await tailer.SubscribeAsync(after, account?.StreamId, options.LiveWaiting, http.RequestAborted);
        }
        catch (PositionBeyondHeadException)
        {
            return new Problem(ProblemCode.PositionBeyondHead);
        }

        using (subscription)
        using (var end = CancellationTokenSource.CreateLinkedTokenSource(
            http.RequestAborted, subscription.Ended, lifetime.ApplicationStopping))
        {
            var transport = http.WebSockets.IsWebSocketRequest ? WebSockets : ServerSentEvents;
            metrics.Came(transport);
            try
            {
                if (transport == WebSockets)
                    await OverWebSocketAsync(http, subscription, end);
                else
                    await AsServerSentEventsAsync(http, subscription, end.Token);
            }
            finally
            {
                metrics.Went(transport, ReasonOf(subscription) ?? "client_left");
            }

            return Results.Empty;
        }
    }

    // The header wins: it is what a browser sends by itself when it comes back.
    private async Task<Position> WhereToBeginAsync(HttpContext http)
    {
        var query = new QueryParameters(http, "from_position");
        var from = query.From("from_position");
        query.ThrowIfWrong();
        if (http.Request.Headers.TryGetValue(LastEventId, out var ids))
            return ids is [{ } id] && long.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var last)
                ? new(last)
                : throw new RequestRefusedException(Problem.Malformed(LastEventId, "must be the position of the event that came last"));
        return http.Request.Query.ContainsKey("from_position") ? new(from - 1) : await _journal.ReadHeadAsync(http.RequestAborted);
    }

    private async Task AsServerSentEventsAsync(HttpContext http, JournalSubscription subscription, CancellationToken end)
    {
        http.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        http.Response.ContentType = "text/event-stream";
        http.Response.Headers.CacheControl = "no-store";
        var body = http.Response.BodyWriter;
        try
        {
            Write(": the journal\n\n");
            await body.FlushAsync(end);
            await foreach (var events in WithBeatsAsync(subscription, end))
            {
                using var traced = EngineTelemetry.Follow("live.send", events);
                if (events.Count == 0)
                    Write(":\n\n");
                foreach (var e in events)
                {
                    Write($"id: {e.Position}\nevent: {e.EventType}\ndata: ");
                    body.Write(messages.Of(e).Span);
                    Write("\n\n");
                }

                await body.FlushAsync(end);
                metrics.Sent(ServerSentEvents, events.Count);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SubscriptionEndedException
            && !http.RequestAborted.IsCancellationRequested)
        {
            Write($"event: end\ndata: {ReasonOf(subscription)}\n\n");
            // Whoever does not read does not hear why either, and is cut off.
            if (!await TryAsync(body.FlushAsync(CancellationToken.None).AsTask()))
                http.Abort();
        }
        catch (OperationCanceledException)
        {
            // The client has gone.
        }

        void Write(string text) => Encoding.UTF8.GetBytes(text, body);
    }

    private async Task OverWebSocketAsync(HttpContext http, JournalSubscription subscription, CancellationTokenSource end)
    {
        using var socket = await http.WebSockets.AcceptWebSocketAsync(new WebSocketAcceptContext { KeepAliveInterval = options.LiveBeat });
        var listening = HearCloseAsync(socket, end);
        try
        {
            await foreach (var events in subscription.ReadAsync(end.Token))
            {
                using var traced = EngineTelemetry.Follow("live.send", events);
                foreach (var e in events)
                    await socket.SendAsync(messages.Of(e), WebSocketMessageType.Text, endOfMessage: true, end.Token);
                metrics.Sent(WebSockets, events.Count);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SubscriptionEndedException or WebSocketException)
        {
            // Ended by the client, by us, or by the network; a send that was cut off leaves a socket that can say nothing more.
            if (socket.State is WebSocketState.Open or WebSocketState.CloseReceived)
            {
                var reason = ReasonOf(subscription);
                await TryAsync(socket.CloseOutputAsync(
                    reason is null ? WebSocketCloseStatus.NormalClosure : WebSocketCloseStatus.EndpointUnavailable, reason,
                    CancellationToken.None));
            }
        }

        if (!await TryAsync(listening))
            http.Abort();
    }

    // A farewell is a courtesy: it may take so long, and may fail.
    private async Task<bool> TryAsync(Task farewell)
    {
        await farewell.WaitAsync(options.LiveFarewell, time, CancellationToken.None)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return farewell.IsCompletedSuccessfully;
    }

    // A client says nothing but goodbye.
    private static async Task HearCloseAsync(WebSocket socket, CancellationTokenSource end)
    {
        var ignored = new byte[256];
        try
        {
            while ((await socket.ReceiveAsync(ignored.AsMemory(), CancellationToken.None)).MessageType != WebSocketMessageType.Close)
            {
            }
        }
        catch (WebSocketException)
        {
            // Gone without a word.
        }

        await end.CancelAsync();
    }

    /// <summary>The events, and nothing whenever there has been nothing for so long that the client would wonder.</summary>
    private async IAsyncEnumerable<IReadOnlyList<RecordedEvent>> WithBeatsAsync(
        JournalSubscription subscription, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken end)
    {
        var events = subscription.ReadAsync(end).GetAsyncEnumerator(end);
        var next = events.MoveNextAsync().AsTask();
        // Goes on while events come, which costs a beat that nobody needs: one timer a feed, not one for each page.
        var beat = Task.Delay(options.LiveBeat, time, end);
        try
        {
            while (true)
            {
                while (await Task.WhenAny(next, beat) != next)
                {
                    end.ThrowIfCancellationRequested();
                    yield return [];
                    beat = Task.Delay(options.LiveBeat, time, end);
                }

                if (!await next)
                    yield break;
                yield return events.Current;
                next = events.MoveNextAsync().AsTask();
            }
        }
        finally
        {
            // It cannot be disposed of while it waits; that the reader leaves has a cause, which ends the wait, too.
            await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await events.DisposeAsync();
        }
    }

    /// <summary>Why it ends, where it is not the client who ends it.</summary>
    private string? ReasonOf(JournalSubscription subscription) => subscription.End switch
    {
        SubscriptionEnd.TooSlow => "slow_consumer",
        SubscriptionEnd.Restored => "journal_restored",
        SubscriptionEnd.Stopping => ShuttingDown,
        _ => lifetime.ApplicationStopping.IsCancellationRequested ? ShuttingDown : null,
    };
}
