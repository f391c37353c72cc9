using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Bank.Gateway.Live;

/// <summary>A page that shows an account's balance move.</summary>
internal static class LivePage
{
    public static void MapLivePage(this IEndpointRouteBuilder routes) => routes.MapGet("/live", () => TypedResults.Stream(
        typeof(LivePage).Assembly.GetManifestResourceStream("live.html")!, "text/html; charset=utf-8"));
}
