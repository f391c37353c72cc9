using Bank.Gateway.Problems;
using Bank.Gateway.Requests;
using Bank.ReadModel.Transactions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Bank.Gateway;

internal sealed record TransactionBody(
    Guid EventId,
    long Position,
    long Version,
    string Type,
    string Amount,
    string BalanceAfter,
    string Currency,
    Guid? CounterpartyAccountId,
    Guid? TransferId,
    string Description,
    DateTimeOffset RecordedAt)
{
    public static TransactionBody Of(TransactionRow row) => new(
        row.EventId,
        row.Position.Value,
        row.Version,
        row.Type,
        row.Amount.ToString(),
        row.BalanceAfter.ToString(),
        row.Currency.Code,
        row.Counterparty?.Value,
        row.TransferId?.Value,
        row.Description,
        row.RecordedAt);
}

/// <summary>The movements of an account's money.</summary>
internal static class Transactions
{
    public static void MapTransactions(this RouteGroupBuilder api) => api.MapGet("/accounts/{id}/transactions", List);

    private static async Task<IResult> List(string id, HttpContext http, TransactionQuery transactions, Acknowledged acknowledged)
    {
        var account = Accounts.InPath(id);
        var query = new QueryParameters(http, "from", "to", "limit", "cursor", "min_position");
        var (from, to, limit, cursor) = (query.Time("from"), query.Time("to"), query.Limit(), query.Cursor());
        var minPosition = query.MinPosition();
        query.ThrowIfWrong();

        var found = await transactions.ListAsync(
            account, from, to, limit, cursor, new(Math.Max(minPosition, acknowledged.Of(account.Value))), http.RequestAborted);
        return found.Value is { } page
            ? TypedResults.Json(ListBody.Of(page, TransactionBody.Of), GatewayJson.Default.ListBodyTransactionBody)
            : new Problem(ProblemCode.AccountNotFound);
    }
}
