using Bank.Contracts;
using Bank.Domain;
using Bank.Gateway.Problems;
using Bank.Gateway.Requests;
using Bank.ReadModel.Transfers;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Net.Http.Headers;
using Orleans.EventSourcing.Postgres;

namespace Bank.Gateway;

internal sealed record TransferRequest(string? ToAccountId = null, string? Amount = null, string Description = "");

internal sealed record TransferAnswerBody(Guid TransferId, string Status, string? Balance, long Position);

internal sealed record StepBody(string Step, Guid EventId, long Position, DateTimeOffset RecordedAt);

internal sealed record TransferBody(
    Guid TransferId,
    Guid FromAccountId,
    Guid ToAccountId,
    string Amount,
    string Currency,
    string Description,
    string Status,
    string Phase,
    string? Reason,
    IReadOnlyList<StepBody> Steps,
    long AsOfPosition)
{
    public static TransferBody Of(TransferRow row, long asOf) => new(
        row.Id.Value,
        row.From.Value,
        row.To.Value,
        row.Amount.ToString(),
        row.Currency.Code,
        row.Description,
        row.Status,
        row.Phase,
        row.Reason,
        [.. row.Steps.Select(step => new StepBody(step.Step, step.EventId, step.Position.Value, step.RecordedAt))],
        asOf);
}

/// <summary>Transfers between accounts.</summary>
internal static class Transfers
{
    private static readonly string[] Statuses = [.. Enum.GetValues<TransferStatus>().Select(status => status.Name())];

    public static void MapTransfers(this RouteGroupBuilder api)
    {
        api.MapPost("/accounts/{id}/transfer", Request);
        api.MapGet("/transfers", List);
        api.MapGet("/transfers/{id}", Get);
    }

    private static async Task<IResult> Request(
        string id, HttpContext http, GrainReferences<ITransferGrain> grains, Patience patience, Acknowledged acknowledged,
        TimeProvider time)
    {
        var from = Accounts.InPath(id);
        new QueryParameters(http).ThrowIfWrong();
        var headers = CommandHeaders.Read(http, time);
        var body = await JsonBody.ReadAsync(http, GatewayJson.Default.TransferRequest);
        var errors = new RequestErrors();
        var to = errors.Account("to_account_id", body.ToAccountId);
        var amount = errors.Amount("amount", body.Amount);
        var description = errors.Text("description", body.Description);
        // The money leaves in a step of its own, later: a promise about the version now would not hold then.
        if (headers.IfMatch is not null)
            errors.Add(HeaderNames.IfMatch, "is not taken by transfers");
        errors.ThrowIfAny();

        var transfer = DerivedId.Transfer(from, headers.Key);
        TransferReply reply;
        try
        {
            // What is refused without a transfer is remembered nowhere, so it is believed only where it was asked for once, save what no
            // time can change.
            reply = await patience.For(
                sentAt => grains.Of(transfer.Value).Request(
                    from.Value, to.Value, amount, description, headers.For(transfer.Value, sentAt)),
                reply => reply.Status == ReplyStatus.Done ? true
                    : reply.Status is ReplyStatus.KeyReused or ReplyStatus.Malformed || reply.Code == Refusal.SameAccount.Code() ? false
                    : null);
        }
        catch (JournalUnavailableException)
        {
            // It may have come from reading back what was recorded a moment before.
            return new Problem(ProblemCode.OutcomeUnknown);
        }

        if (reply.Status != ReplyStatus.Done)
            return Replies.ToProblem(reply.Status, reply.Code);
        acknowledged.Add(reply.Position, transfer.Value, from.Value, to.Value);
        Replies.MarkReplay(http, reply.Replayed);
        var status = reply.Transfer!;
        if (reply.Code is { } reason)
            return new Problem(reason) { Transfer = new(transfer.Value, status, reply.Position) };
        var isRunning = status == TransferStatus.Running.Name();
        if (isRunning)
            http.Response.Headers.Location = $"/api/v1/transfers/{transfer}";
        return TypedResults.Json(
            new TransferAnswerBody(
                transfer.Value,
                status,
                reply.BalanceMinorUnits is { } balance ? Replies.Money(balance, reply.Currency!) : null,
                reply.Position),
            GatewayJson.Default.TransferAnswerBody,
            statusCode: isRunning ? StatusCodes.Status202Accepted : StatusCodes.Status200OK);
    }

    private static async Task<IResult> Get(string id, HttpContext http, TransferQuery transfers, Acknowledged acknowledged)
    {
        var query = new QueryParameters(http, "min_position");
        var minPosition = query.MinPosition();
        query.ThrowIfWrong();
        if (!TransferId.TryParse(id, out var transfer))
            return new Problem(ProblemCode.TransferNotFound);

        var found = await transfers.FindAsync(
            transfer, new(Math.Max(minPosition, acknowledged.Of(transfer.Value))), http.RequestAborted);
        return found.Value is { } row
            ? TypedResults.Json(TransferBody.Of(row, found.AsOf.Value), GatewayJson.Default.TransferBody)
            : new Problem(ProblemCode.TransferNotFound);
    }

    private static async Task<IResult> List(HttpContext http, TransferQuery transfers, Acknowledged acknowledged)
    {
        var query = new QueryParameters(http, "account", "status", "limit", "cursor", "min_position");
        var (account, status, limit) = (query.Account("account"), query.OneOf("status", Statuses), query.Limit());
        var (cursor, minPosition) = (query.Cursor(), query.MinPosition());
        query.ThrowIfWrong();

        var page = await transfers.ListAsync(
            account, status, limit, cursor, new(Math.Max(minPosition, acknowledged.Highest)), http.RequestAborted);
        return TypedResults.Json(
            ListBody.Of(page, row => TransferBody.Of(row, page.AsOf.Value)), GatewayJson.Default.ListBodyTransferBody);
    }
}
