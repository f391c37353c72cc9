using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Xunit;

namespace Bank.Host.Tests;

public sealed class OperatorsTests
{
    private const string Named = "172.28.0.5";

    [Theory]
    [InlineData("127.0.0.1", true)]
    [InlineData("127.8.9.10", true)]
    [InlineData("::1", true)]
    [InlineData("::ffff:127.0.0.1", true)]
    [InlineData(Named, true)]
    [InlineData("::ffff:" + Named, true)]
    [InlineData("172.29.0.5", false)]
    [InlineData("::ffff:172.29.0.5", false)]
    [InlineData("2001:db8::1", false)]
    [InlineData(null, false)]
    public async Task Operators_are_peers_on_loopback_and_in_the_networks_that_are_named(string? peer, bool expected) =>
        Assert.Equal(expected, await IsServedAsync(From(peer)));

    [Theory]
    [InlineData("Forwarded", "for=192.0.2.1")]
    [InlineData("Via", "1.1 proxy")]
    [InlineData("X-Forwarded-For", "127.0.0.1")]
    [InlineData("X-Forwarded-Host", "localhost")]
    [InlineData("X-Forwarded-Proto", "https")]
    [InlineData("X-Real-IP", "127.0.0.1")]
    [InlineData("True-Client-IP", "127.0.0.1")]
    [InlineData("CF-Connecting-IP", "")]
    public async Task What_a_proxy_says_of_a_request_makes_it_nobody_s(string header, string value)
    {
        foreach (var peer in (string[])["127.0.0.1", Named])
        {
            var http = From(peer);
            http.Request.Headers[header] = value;
            Assert.False(await IsServedAsync(http), peer);
        }
    }

    [Theory]
    [InlineData("X-Forwarded-For", "127.0.0.1")]
    [InlineData("X-Forwarded-Proto", "https")]
    public async Task What_a_proxy_says_is_no_less_said_where_it_is_believed(string header, string value)
    {
        var http = From("127.0.0.1");
        http.Request.Headers[header] = value;
        var believed = new ForwardedHeadersOptions { ForwardedHeaders = ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto };
        believed.KnownIPNetworks.Clear();
        believed.KnownProxies.Clear();
        var served = true;
        await new ForwardedHeadersMiddleware(
            async _ => served = await IsServedAsync(http), NullLoggerFactory.Instance, Options.Create(believed)).Invoke(http);
        Assert.False(http.Request.Headers.ContainsKey(header));
        Assert.False(served);
    }

    [Theory]
    [InlineData("HTTP/1.0", false)]
    [InlineData("HTTP/1.1", true)]
    [InlineData("HTTP/2", true)]
    public async Task A_proxy_that_nobody_has_told_to_speak_of_itself_is_known_by_its_old_protocol(string protocol, bool expected)
    {
        foreach (var peer in (string[])["127.0.0.1", Named])
        {
            var http = From(peer);
            http.Request.Protocol = protocol;
            Assert.True(expected == await IsServedAsync(http), peer);
        }
    }

    [Theory]
    [InlineData("localhost:8080", true)]
    [InlineData("127.0.0.1", true)]
    [InlineData("[::1]:8080", true)]
    [InlineData("172.28.0.2:8080", true)]
    [InlineData("bank.example:8080", false)]
    [InlineData("localhost.example", false)]
    [InlineData("127.0.0.1.example", false)]
    [InlineData("", false)]
    public async Task A_page_whose_name_was_made_to_point_here_sees_nothing_through_an_operator_s_browser(string host, bool expected)
    {
        foreach (var peer in (string[])["127.0.0.1", Named])
        {
            var http = From(peer);
            http.Request.Host = new(host);
            Assert.True(expected == await IsServedAsync(http), peer);
        }
    }

    [Fact]
    public async Task What_would_activate_grains_is_there_for_nobody() =>
        Assert.False(await IsServedAsync(From("127.0.0.1", "/dashboard/GrainState")));

    [Fact]
    public async Task Routes_that_are_not_for_operators_are_for_all()
    {
        foreach (var endpoint in (Endpoint?[])[null, Route("/health/ready"), Route("/dashboard/GrainState")])
        {
            var http = From("192.0.2.1");
            http.Request.Headers["X-Forwarded-For"] = "192.0.2.2";
            http.SetEndpoint(endpoint);
            Assert.True(await IsServedAsync(http));
        }
    }

    [Fact]
    public async Task Every_route_of_the_dashboard_is_for_operators_and_one_of_them_for_nobody()
    {
        await using var app = Composed.Host(Role.Gateway, new() { ["OTEL_SDK_DISABLED"] = "true" });
        app.MapBank(Role.Gateway);
        var dashboard = ((IEndpointRouteBuilder)app).DataSources.SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()
            .Where(route => route.RoutePattern.RawText!.TrimStart('/').StartsWith("dashboard", StringComparison.OrdinalIgnoreCase))
            .ToList();
        Assert.True(dashboard.Count > 20, $"{dashboard.Count} routes");
        Assert.All(dashboard, route => Assert.NotNull(route.Metadata.GetMetadata<OperatorsOnly>()));

        List<string> refused = [];
        foreach (var route in dashboard)
        {
            var http = From("127.0.0.1");
            http.SetEndpoint(route);
            if (!await IsServedAsync(http))
                refused.Add(route.RoutePattern.RawText!);
        }

        Assert.Equal(["/dashboard/GrainState"], refused);
    }

    private static RouteEndpoint Route(string pattern, params object[] marks) =>
        new(_ => Task.CompletedTask, RoutePatternFactory.Parse(pattern), 0, new(marks), pattern);

    private static DefaultHttpContext From(string? peer, string pattern = "/dashboard")
    {
        var http = new DefaultHttpContext();
        http.Connection.RemoteIpAddress = peer is null ? null : IPAddress.Parse(peer);
        http.Request.Protocol = "HTTP/1.1";
        http.Request.Host = new("localhost", 8080);
        http.SetEndpoint(Route(pattern, OperatorsOnly.Mark));
        return http;
    }

    private static async Task<bool> IsServedAsync(HttpContext http)
    {
        var settings = new ConfigurationBuilder()
            .AddInMemoryCollection(new Dictionary<string, string?> { ["Operators:Networks:0"] = "172.28.0.0/16" }).Build();
        var served = false;
        await new Operators(settings).Guard(http, _ =>
        {
            served = true;
            return Task.CompletedTask;
        });
        Assert.Equal(served ? StatusCodes.Status200OK : StatusCodes.Status404NotFound, http.Response.StatusCode);
        return served;
    }
}
