using Bank.Contracts;
using Bank.Domain;
using Bank.Gateway.Problems;
using Bank.Gateway.Requests;
using Bank.ReadModel.Accounts;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Bank.Gateway;

internal sealed record OpenRequest(string? OwnerName = null, string InitialDeposit = "0", string Currency = "USD");

internal sealed record MoneyRequest(string? Amount = null, string Description = "");

internal sealed record CloseRequest(string Reason = "");

internal sealed record OpenedBody(Guid AccountId, string Balance, string Currency, long Version, long Position);

internal sealed record MovedBody(Guid AccountId, Guid EventId, string Balance, long Version, long Position);

internal sealed record ClosedBody(Guid AccountId, Guid EventId, string Balance, long Version, long Position, string Status);

internal sealed record AccountBody(
    Guid AccountId,
    string OwnerName,
    string Balance,
    string Currency,
    string Status,
    long Version,
    DateTimeOffset OpenedAt,
    DateTimeOffset UpdatedAt,
    long AsOfPosition)
{
    public static AccountBody Of(AccountRow row, long asOf) => new(
        row.Id.Value,
        row.OwnerName,
        row.Balance.ToString(),
        row.Currency.Code,
        row.Status,
        row.Version,
        row.OpenedAt,
        row.UpdatedAt,
        asOf);
}

/// <summary>Accounts: opening, deposit, withdrawal, closing, and what they are.</summary>
internal static class Accounts
{
    public const string Active = "active";
    public const string Closed = "closed";

    public static void MapAccounts(this RouteGroupBuilder api)
    {
        api.MapPost("/accounts", Open);
        api.MapPost("/accounts/{id}/deposit", Deposit);
        api.MapPost("/accounts/{id}/withdraw", Withdraw);
        api.MapPost("/accounts/{id}/close", Close);
        api.MapGet("/accounts", List);
        api.MapGet("/accounts/{id}", Get);
    }

    /// <summary>The account that a path names; what is no id is no account either.</summary>
    /// <exception cref="RequestRefusedException">It names none.</exception>
    public static AccountId InPath(string id) =>
        AccountId.TryParse(id, out var account) ? account : throw new RequestRefusedException(new(ProblemCode.AccountNotFound));

    private static async Task<IResult> Open(
        HttpContext http, GrainReferences<IBankAccountGrain> grains, Patience patience, Acknowledged acknowledged, TimeProvider time)
    {
        new QueryParameters(http).ThrowIfWrong();
        var headers = CommandHeaders.Read(http, time);
        var body = await JsonBody.ReadAsync(http, GatewayJson.Default.OpenRequest);
        var errors = new RequestErrors();
        var owner = errors.OwnerName("owner_name", body.OwnerName);
        var deposit = errors.Amount("initial_deposit", body.InitialDeposit, orZero: true);
        var currency = errors.Currency("currency", body.Currency);
        errors.ThrowIfAny();

        var account = DerivedId.Account(headers.Key);
        var reply = await patience.For(
            sentAt => grains.Of(account.Value).Open(owner, currency, deposit, headers.For(DerivedId.Opening(account), sentAt)), IsDone);
        return Answer(http, account, reply, acknowledged, () =>
        {
            http.Response.Headers.Location = $"/api/v1/accounts/{account}";
            return TypedResults.Json(
                new OpenedBody(account.Value, BalanceOf(reply), reply.Currency!, reply.Version, reply.Position),
                GatewayJson.Default.OpenedBody,
                statusCode: StatusCodes.Status201Created);
        });
    }

    private static Task<IResult> Deposit(
        string id, HttpContext http, GrainReferences<IBankAccountGrain> grains, Patience patience, Acknowledged acknowledged,
        TimeProvider time) =>
        Move(id, http, patience, acknowledged, time, (account, amount, description, context) =>
            grains.Of(account.Value).Deposit(amount, description, context));

    private static Task<IResult> Withdraw(
        string id, HttpContext http, GrainReferences<IBankAccountGrain> grains, Patience patience, Acknowledged acknowledged,
        TimeProvider time) =>
        Move(id, http, patience, acknowledged, time, (account, amount, description, context) =>
            grains.Of(account.Value).Withdraw(amount, description, context));

    private static async Task<IResult> Move(
        string accountId,
        HttpContext http,
        Patience patience,
        Acknowledged acknowledged,
        TimeProvider time,
        Func<AccountId, AmountText, string, CommandContext, Task<CommandReply>> command)
    {
        var account = InPath(accountId);
        new QueryParameters(http).ThrowIfWrong();
        var headers = CommandHeaders.Read(http, time);
        var body = await JsonBody.ReadAsync(http, GatewayJson.Default.MoneyRequest);
        var errors = new RequestErrors();
        var amount = errors.Amount("amount", body.Amount);
        var description = errors.Text("description", body.Description);
        errors.ThrowIfAny();

        var id = DerivedId.Command(account, headers.Key);
        var reply = await patience.For(sentAt => command(account, amount, description, headers.For(id, sentAt)), IsDone);
        return Answer(http, account, reply, acknowledged, () => TypedResults.Json(
            new MovedBody(account.Value, reply.EventId, BalanceOf(reply), reply.Version, reply.Position), GatewayJson.Default.MovedBody));
    }

    private static async Task<IResult> Close(
        string id, HttpContext http, GrainReferences<IBankAccountGrain> grains, Patience patience, Acknowledged acknowledged,
        TimeProvider time)
    {
        var account = InPath(id);
        new QueryParameters(http).ThrowIfWrong();
        var headers = CommandHeaders.Read(http, time);
        var body = await JsonBody.ReadAsync(http, GatewayJson.Default.CloseRequest);
        var errors = new RequestErrors();
        var reason = errors.Text("reason", body.Reason);
        errors.ThrowIfAny();

        var reply = await patience.For(
            sentAt => grains.Of(account.Value).Close(reason, headers.For(DerivedId.Command(account, headers.Key), sentAt)), IsDone);
        return Answer(http, account, reply, acknowledged, () => TypedResults.Json(
            new ClosedBody(account.Value, reply.EventId, BalanceOf(reply), reply.Version, reply.Position, Closed),
            GatewayJson.Default.ClosedBody));
    }

    private static async Task<IResult> Get(
        string id, HttpContext http, GrainReferences<IBankAccountGrain> grains, AccountQuery accounts, Patience patience,
        Acknowledged acknowledged)
    {
        var account = InPath(id);
        var query = new QueryParameters(http, "consistency", "min_position");
        var isStrong = query.OneOf("consistency", "strong") is not null;
        var minPosition = query.MinPosition();
        query.ThrowIfWrong();

        AccountBody body;
        if (isStrong)
        {
            if (minPosition > 0)
                await patience.ForPosition(minPosition, http.RequestAborted);
            var reply = await patience.For(() => grains.Of(account.Value).Read());
            if (reply.Status != ReplyStatus.Done)
                return Replies.ToProblem(reply.Status, code: null);
            if (reply.Account is not { } known)
                return new Problem(ProblemCode.AccountNotFound);
            body = new(
                account.Value,
                known.OwnerName,
                Replies.Money(known.BalanceMinorUnits, known.Currency),
                known.Currency,
                known.Closed ? Closed : Active,
                known.Version,
                known.OpenedAt,
                known.UpdatedAt,
                known.AsOf);
        }
        else
        {
            var atLeast = Math.Max(minPosition, acknowledged.Of(account.Value));
            var found = await accounts.FindAsync(account, new(atLeast), http.RequestAborted);
            if (found.Value is not { } row)
                return new Problem(ProblemCode.AccountNotFound);
            body = AccountBody.Of(row, found.AsOf.Value);
        }

        http.Response.Headers.ETag = CommandHeaders.ETag(body.Version);
        return TypedResults.Json(body, GatewayJson.Default.AccountBody);
    }

    private static async Task<IResult> List(HttpContext http, AccountQuery accounts, Acknowledged acknowledged)
    {
        var query = new QueryParameters(http, "owner", "status", "limit", "cursor", "min_position");
        var (owner, status, limit) = (query.OwnerName("owner"), query.OneOf("status", Active, Closed), query.Limit());
        var (cursor, minPosition) = (query.Cursor(), query.MinPosition());
        query.ThrowIfWrong();

        var page = await accounts.ListAsync(
            owner, status, limit, cursor, new(Math.Max(minPosition, acknowledged.Highest)), http.RequestAborted);
        return TypedResults.Json(
            ListBody.Of(page, row => AccountBody.Of(row, page.AsOf.Value)), GatewayJson.Default.ListBodyAccountBody);
    }

    private static bool? IsDone(CommandReply reply) => Replies.IsDone(reply.Status);

    private static string BalanceOf(CommandReply reply) => Replies.Money(reply.BalanceMinorUnits, reply.Currency!);

    private static IResult Answer(
        HttpContext http, AccountId account, CommandReply reply, Acknowledged acknowledged, Func<IResult> done)
    {
        if (reply.Status != ReplyStatus.Done)
            return Replies.ToProblem(reply.Status, reply.Code);
        acknowledged.Add(reply.Position, account.Value);
        Replies.MarkReplay(http, reply.Replayed);
        return done();
    }
}
