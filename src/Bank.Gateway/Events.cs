using Bank.Domain;
using Bank.Gateway.Problems;
using Bank.Gateway.Requests;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Orleans.EventSourcing.Postgres;

namespace Bank.Gateway;

internal sealed record EventBody(
    Guid EventId,
    string StreamId,
    long Version,
    long Position,
    string EventType,
    short SchemaVersion,
    RawJson Data,
    RawJson Metadata,
    DateTimeOffset RecordedAt)
{
    public static EventBody Of(RecordedEvent e) => new(
        e.EventId, e.StreamId, e.Version, e.Position.Value, e.EventType, e.SchemaVersion, new(e.Data), new(e.Metadata), e.RecordedAt);
}

internal sealed record StreamEventsBody(IReadOnlyList<EventBody> Items, long? NextVersion);

internal sealed record AllEventsBody(IReadOnlyList<EventBody> Items, long? NextPosition);

/// <summary>The record itself: the audit trail of an account, the global feed, one event.</summary>
internal static class Events
{
    public static void MapEvents(this RouteGroupBuilder api)
    {
        api.MapGet("/accounts/{id}/events", OfAccount);
        api.MapGet("/events", All);
        api.MapGet("/events/{id}", One);
    }

    private static async Task<IResult> OfAccount(string id, HttpContext http, IJournalReader journal, Patience patience)
    {
        var stream = Accounts.InPath(id).StreamId;
        var query = new QueryParameters(http, "from_version", "limit", "min_position");
        var (from, limit, minPosition) = (query.From("from_version"), query.Limit(), query.MinPosition());
        query.ThrowIfWrong();

        if (minPosition > 0)
            await patience.ForPosition(minPosition, http.RequestAborted);
        var (page, hasMore) = Page(await journal.ReadStreamAsync(stream, from, limit + 1, http.RequestAborted), limit);
        // Beyond the end of an account there is nothing; where there is no account, that is said.
        if (page.Count == 0 && (from == 1 || await journal.ReadStreamAsync(stream, 1, 1, http.RequestAborted) is []))
            return new Problem(ProblemCode.AccountNotFound);
        return TypedResults.Json(
            new StreamEventsBody(page, hasMore ? page[^1].Version + 1 : null), GatewayJson.Default.StreamEventsBody);
    }

    private static async Task<IResult> All(HttpContext http, IJournalReader journal, Patience patience)
    {
        var query = new QueryParameters(http, "from_position", "limit", "min_position");
        var (from, limit, minPosition) = (query.From("from_position"), query.Limit(), query.MinPosition());
        query.ThrowIfWrong();

        if (minPosition > 0)
            await patience.ForPosition(minPosition, http.RequestAborted);
        var (page, hasMore) = Page(await journal.ReadAllAsync(new(from), limit + 1, http.RequestAborted), limit);
        return TypedResults.Json(
            new AllEventsBody(page, hasMore ? page[^1].Position + 1 : null), GatewayJson.Default.AllEventsBody);
    }

    private static async Task<IResult> One(string id, HttpContext http, IJournalReader journal, Patience patience)
    {
        var query = new QueryParameters(http, "min_position");
        var minPosition = query.MinPosition();
        query.ThrowIfWrong();
        if (!Uuid.TryParse(id, out var eventId))
            return new Problem(ProblemCode.EventNotFound);

        if (minPosition > 0)
            await patience.ForPosition(minPosition, http.RequestAborted);
        return await journal.ReadEventAsync(eventId, http.RequestAborted) is { } found
            ? TypedResults.Json(EventBody.Of(found), GatewayJson.Default.EventBody)
            : new Problem(ProblemCode.EventNotFound);
    }

    // One more than the page was read, to know whether there is another.
    private static (IReadOnlyList<EventBody> Page, bool HasMore) Page(IReadOnlyList<RecordedEvent> read, int limit) =>
        ([.. read.Take(limit).Select(EventBody.Of)], read.Count > limit);
}
