using Bank.Gateway.Problems;
using Microsoft.AspNetCore.Http;

namespace Bank.Gateway.Requests;

/// <summary>
/// Bodies are read as JSON even where they are called a form, which any web page may send without asking first. So a request that a browser
/// sends for a page of another origin is refused, whatever it is.
/// </summary>
internal static class OriginCheck
{
    public static Task InvokeAsync(HttpContext http, RequestDelegate next)
    {
        var request = http.Request;
        return request.Headers.Origin is not { Count: > 0 } origins
            || (origins is [{ } origin] && origin.Equals($"{request.Scheme}://{request.Host}", StringComparison.OrdinalIgnoreCase))
                ? next(http)
                : new Problem(ProblemCode.OriginNotAllowed).ExecuteAsync(http);
    }
}
