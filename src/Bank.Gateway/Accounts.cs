using Bank.Contracts;
using Bank.Domain;
using Bank.Gateway.Problems;
using Bank.Gateway.Queries;
using Bank.Gateway.Requests;
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
    long AsOfPosition);

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

    private static async Task<IResult> Open(HttpContext http, IGrainFactory grains, Patience patience, TimeProvider time)
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
        var context = headers.For(DerivedId.Opening(account));
        var reply = await patience.For(
            () => grains.GetGrain<IBankAccountGrain>(account.Value).Open(owner, currency, deposit, context));
        return Answer(http, reply, () =>
        {
            http.Response.Headers.Location = $"/api/v1/accounts/{account}";
            return TypedResults.Json(
                new OpenedBody(account.Value, BalanceOf(reply), reply.Currency!, reply.Version, reply.Position),
                GatewayJson.Default.OpenedBody,
                statusCode: StatusCodes.Status201Created);
        });
    }

    private static Task<IResult> Deposit(string id, HttpContext http, IGrainFactory grains, Patience patience, TimeProvider time) =>
        Move(id, http, patience, time, (account, amount, description, context) =>
            grains.GetGrain<IBankAccountGrain>(account.Value).Deposit(amount, description, context));

    private static Task<IResult> Withdraw(string id, HttpContext http, IGrainFactory grains, Patience patience, TimeProvider time) =>
        Move(id, http, patience, time, (account, amount, description, context) =>
            grains.GetGrain<IBankAccountGrain>(account.Value).Withdraw(amount, description, context));

    private static async Task<IResult> Move(
        string id,
        HttpContext http,
        Patience patience,
        TimeProvider time,
        Func<AccountId, AmountText, string, CommandContext, Task<CommandReply>> command)
    {
        var account = InPath(id);
        new QueryParameters(http).ThrowIfWrong();
        var headers = CommandHeaders.Read(http, time);
        var body = await JsonBody.ReadAsync(http, GatewayJson.Default.MoneyRequest);
        var errors = new RequestErrors();
        var amount = errors.Amount("amount", body.Amount);
        var description = errors.Text("description", body.Description);
        errors.ThrowIfAny();

        var reply = await patience.For(() => command(account, amount, description, headers.For(DerivedId.Command(account, headers.Key))));
        return Answer(http, reply, () => TypedResults.Json(
            new MovedBody(account.Value, reply.EventId, BalanceOf(reply), reply.Version, reply.Position), GatewayJson.Default.MovedBody));
    }

    private static async Task<IResult> Close(string id, HttpContext http, IGrainFactory grains, Patience patience, TimeProvider time)
    {
        var account = InPath(id);
        new QueryParameters(http).ThrowIfWrong();
        var headers = CommandHeaders.Read(http, time);
        var body = await JsonBody.ReadAsync(http, GatewayJson.Default.CloseRequest);
        var errors = new RequestErrors();
        var reason = errors.Text("reason", body.Reason);
        errors.ThrowIfAny();

        var reply = await patience.For(
            () => grains.GetGrain<IBankAccountGrain>(account.Value).Close(reason, headers.For(DerivedId.Command(account, headers.Key))));
        return Answer(http, reply, () => TypedResults.Json(
            new ClosedBody(account.Value, reply.EventId, BalanceOf(reply), reply.Version, reply.Position, Closed),
            GatewayJson.Default.ClosedBody));
    }

    // The grain answers as of the journal's head, whatever consistency was asked for.
    private static async Task<IResult> Get(string id, HttpContext http, IGrainFactory grains, Patience patience)
    {
        var account = InPath(id);
        var query = new QueryParameters(http, "consistency", "min_position");
        query.OneOf("consistency", "strong");
        var minPosition = query.MinPosition();
        query.ThrowIfWrong();

        if (minPosition > 0)
            await patience.ForPosition(minPosition, http.RequestAborted);
        var reply = await patience.For(() => grains.GetGrain<IBankAccountGrain>(account.Value).Read());
        if (reply.Status != ReplyStatus.Done)
            return Replies.ToProblem(reply.Status, code: null);
        if (reply.Account is not { } found)
            return new Problem(ProblemCode.AccountNotFound);
        http.Response.Headers.ETag = CommandHeaders.ETag(found.Version);
        return TypedResults.Json(
            new AccountBody(
                account.Value,
                found.OwnerName,
                Replies.Money(found.BalanceMinorUnits, found.Currency),
                found.Currency,
                found.Closed ? Closed : Active,
                found.Version,
                found.OpenedAt,
                found.UpdatedAt,
                found.AsOf),
            GatewayJson.Default.AccountBody);
    }

    private static async Task<IResult> List(HttpContext http, AccountList accounts, Patience patience)
    {
        var query = new QueryParameters(http, "owner", "status", "limit", "cursor", "min_position");
        var (owner, status, limit) = (query.OwnerName("owner"), query.OneOf("status", Active, Closed), query.Limit());
        var minPosition = query.MinPosition();
        query.ThrowIfWrong();
        var after = query.After(CursorKind.Accounts) ?? 0;

        var head = await patience.ForPosition(minPosition, http.RequestAborted);
        var page = await accounts.ReadAsync(owner, status, after, limit, head, http.RequestAborted);
        return TypedResults.Json(page, GatewayJson.Default.ListBodyAccountBody);
    }

    private static string BalanceOf(CommandReply reply) => Replies.Money(reply.BalanceMinorUnits, reply.Currency!);

    private static IResult Answer(HttpContext http, CommandReply reply, Func<IResult> done)
    {
        if (reply.Status != ReplyStatus.Done)
            return Replies.ToProblem(reply.Status, reply.Code);
        Replies.MarkReplay(http, reply.Replayed);
        return done();
    }
}
