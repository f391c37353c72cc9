using System.Net;
using Bank.Testing;
using Xunit;

namespace Bank.Host.Tests.Commands;

public sealed class WaitingTests(PrivatePostgres postgres)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Whether_a_process_lives_is_asked_of_nothing_that_waits_for_a_database()
    {
        var address = $"http://127.0.0.1:{Ports.PreferredOrFree(0)}";
        var environment = new Dictionary<string, string?>
        {
            ["ConnectionStrings__Bank"] = "Host=127.0.0.1;Port=1;Username=bank_app;Password=x;Database=bank",
            ["ASPNETCORE_URLS"] = address,
        };
        var asked = new List<string>();
        using (var server = new HttpListener { Prefixes = { $"{address}/" } })
        {
            server.Start();
            var status = BankProcess.RunAsync(["status", "--live"], environment);
            while (await Task.WhenAny(server.GetContextAsync(), status) is Task<HttpListenerContext> question)
            {
                var context = await question;
                asked.Add(context.Request.Url!.AbsolutePath);
                context.Response.Close();
            }

            var (code, output) = await status;
            Assert.True(code == 0, output);
        }

        Assert.Equal(["/health/live"], asked);
        Assert.Equal((int)ExitCode.NotRunning, (await BankProcess.RunAsync(["status", "--live"], environment)).ExitCode);
    }

    [Fact]
    public async Task A_gateway_says_what_it_waits_for_until_it_is_ready_and_that_it_leaves_while_it_still_serves()
    {
        var database = await postgres.CreateEmptyDatabaseAsync();
        using var client = new HttpClient { BaseAddress = new($"http://127.0.0.1:{Ports.PreferredOrFree(0)}") };
        await using var gateway = BankProcess.Start(["up", "--role", "gateway", "--drain-delay", "5"], Of(client.BaseAddress));
        await ReadinessAsync(HttpStatusCode.ServiceUnavailable, "waiting: The database is not migrated");
        Assert.Equal(HttpStatusCode.OK, (await AskAsync("/health/live")).Status);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await AskAsync("/api/v1/accounts")).Status);

        Assert.Equal(0, (await BankProcess.RunAsync(["migrate"], Of(client.BaseAddress))).ExitCode);
        await ReadinessAsync(HttpStatusCode.ServiceUnavailable, "waiting for a silo");
        Assert.Equal(HttpStatusCode.OK, (await AskAsync("/health/live")).Status);

        await using var silo = BankProcess.Start(["up", "--role", "silo", "--drain-delay", "0"], Of(new("http://127.0.0.1:0")));
        await ReadinessAsync(HttpStatusCode.OK, "\"status\":\"ready\"");
        Assert.Equal(HttpStatusCode.OK, (await AskAsync("/api/v1/accounts")).Status);

        // It leaves before it closes: others are to notice, and are served meanwhile.
        gateway.Terminate();
        await ReadinessAsync(HttpStatusCode.ServiceUnavailable, "leaving");
        using (var served = await client.GetAsync(new Uri("/api/v1/accounts", UriKind.Relative), TestContext.Current.CancellationToken))
        {
            Assert.Equal(HttpStatusCode.OK, served.StatusCode);
            Assert.True(served.Headers.ConnectionClose);
        }

        Assert.Equal(0, await gateway.EndAsync());
        silo.Terminate();
        Assert.Equal(0, await silo.EndAsync());

        Task ReadinessAsync(HttpStatusCode status, string text) => Eventually.UntilAsync(
            $"readiness answers {status} with {text}",
            () => AskAsync("/health/ready"),
            answer => answer.Status == status && answer.Body.Contains(text, StringComparison.Ordinal),
            Patience);

        async Task<(HttpStatusCode Status, string Body)> AskAsync(string path)
        {
            using var answer = await client.GetAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken);
            return (answer.StatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }

        Dictionary<string, string?> Of(Uri address) => new()
        {
            ["ConnectionStrings__Bank"] = database.App,
            ["ConnectionStrings__BankOwner"] = database.Owner,
            ["BANK_ACCEPT_LOSING_MONEY"] = "1",
            ["ASPNETCORE_URLS"] = address.GetLeftPart(UriPartial.Authority),
            ["Orleans__Endpoints__SiloPort"] = $"{Ports.PreferredOrFree(0)}",
            ["Orleans__Endpoints__GatewayPort"] = $"{Ports.PreferredOrFree(0)}",
        };
    }
}
