using Bank.Gateway.Requests;
using Bank.ReadModel.DailyTotals;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Bank.Gateway;

internal sealed record TotalBody(long Count, string Amount)
{
    public static TotalBody Of(Total total) =>
        new(total.Count, total.Amount.ToString(System.Globalization.CultureInfo.InvariantCulture));
}

internal sealed record DayBody(DateOnly Date, string Currency, TotalBody Deposits, TotalBody Withdrawals, TotalBody Transfers)
{
    public static DayBody Of(DailyTotalsRow row) => new(
        row.Date, row.Currency.Code, TotalBody.Of(row.Deposits), TotalBody.Of(row.Withdrawals), TotalBody.Of(row.Transfers));
}

internal sealed record DaysBody(IReadOnlyList<DayBody> Items, long AsOfPosition);

/// <summary>What the bank did on each day.</summary>
internal static class Totals
{
    public static void MapTotals(this RouteGroupBuilder api) => api.MapGet("/totals/daily", Daily);

    private static async Task<IResult> Daily(HttpContext http, DailyTotalsQuery totals, Acknowledged acknowledged)
    {
        var query = new QueryParameters(http, "from", "to", "currency", "min_position");
        var (from, to, currency) = (query.Day("from"), query.Day("to"), query.Currency("currency"));
        var minPosition = query.MinPosition();
        query.ThrowIfWrong();

        var page = await totals.ListAsync(from, to, currency, new(Math.Max(minPosition, acknowledged.Highest)), http.RequestAborted);
        return TypedResults.Json(new DaysBody([.. page.Items.Select(DayBody.Of)], page.AsOf.Value), GatewayJson.Default.DaysBody);
    }
}
