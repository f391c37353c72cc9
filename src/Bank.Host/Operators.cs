using System.Net;
using Microsoft.AspNetCore.Routing;

namespace Bank.Host;

/// <summary>Marks routes for those who run the bank; anybody else is told that there is no such route.</summary>
internal sealed class OperatorsOnly
{
    /// <summary>The mark.</summary>
    public static OperatorsOnly Mark { get; } = new();
}

/// <summary>
/// Who runs the bank: until callers sign in, peers on loopback and in the networks that the setting <c>Operators__Networks</c> names,
/// whatever the server listens on. A request that came through a proxy has the proxy's address, so it is nobody's; and a name in
/// <c>Host</c>, other than <c>localhost</c>, may belong to a page that was made to point here.
/// </summary>
internal sealed class Operators
{
    // Those with "Original" are what ASPNETCORE_FORWARDEDHEADERS_ENABLED makes of the others, after it has believed them.
    private static readonly string[] Traces =
    [
        "Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP",
        "X-Original-For", "X-Original-Host", "X-Original-Proto",
    ];

    private readonly IPNetwork[] _networks;

    public Operators(IConfiguration configuration) => _networks =
    [
        .. (configuration.GetSection("Operators:Networks").Get<string[]>() ?? []).Select(text => IPNetwork.TryParse(text, out var network)
            ? network
            : throw new CommandException(ExitCode.Failed, $"Operators__Networks: \"{text}\" is no network such as 172.28.0.0/16.")),
    ];

    public bool Include(HttpContext http)
    {
        if (http.Connection.RemoteIpAddress is not { } peer || Traces.Any(http.Request.Headers.ContainsKey))
            return false;
        // A proxy that says nothing of itself: nginx forwards so, unless it is told otherwise.
        if (HttpProtocol.IsHttp10(http.Request.Protocol))
            return false;
        var host = http.Request.Host.Host;
        if (host is not "localhost" && !IPAddress.TryParse(host.Trim('[', ']'), out _))
            return false;
        if (peer.IsIPv4MappedToIPv6)
            peer = peer.MapToIPv4();
        return IPAddress.IsLoopback(peer) || _networks.Any(network => network.Contains(peer));
    }

    /// <summary>After routing: what decides is the route that was found, not how its path was written.</summary>
    public Task Guard(HttpContext http, RequestDelegate next)
    {
        if (http.GetEndpoint() is not { } endpoint || endpoint.Metadata.GetMetadata<OperatorsOnly>() is null)
            return next(http);
        // It would activate any grain that it is given the name of.
        var acts = endpoint is RouteEndpoint route
            && route.RoutePattern.RawText?.Contains("GrainState", StringComparison.OrdinalIgnoreCase) == true;
        if (!acts && Include(http))
            return next(http);
        http.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    }
}
