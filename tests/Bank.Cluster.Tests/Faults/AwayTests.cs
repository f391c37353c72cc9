using System.Diagnostics;
using System.Net;
using Bank.Testing;
using Xunit;

namespace Bank.Cluster.Tests.Faults;

/// <summary>The database goes away for longer than anyone waits. The bank's budget is short here, so that the test is.</summary>
public sealed class AwayTests(UnshakenPostgres postgres) : IClassFixture<UnshakenPostgres>
{
    [Fact]
    public async Task While_the_database_is_away_commands_hear_so_within_their_budget_and_service_resumes_by_itself()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var bank = BankProcess.Start(["up"], new Dictionary<string, string?>
        {
            ["ConnectionStrings__Bank"] = database.App,
            ["ConnectionStrings__BankOwner"] = database.Owner,
            ["Orleans__Endpoints__SiloPort"] = $"{MortalBank.FreePort()}",
            ["Orleans__Endpoints__GatewayPort"] = $"{MortalBank.FreePort()}",
            ["Journal__HeadPatience"] = "00:00:01",
            ["Journal__CallTimeout"] = "00:00:02",
            ["Journal__WriteBudget"] = "00:00:03",
        });
        await bank.OpenAsync();
        using var clients = new Clients(bank.Address);
        await clients.OpenAsync();
        using var stop = new CancellationTokenSource();
        var working = clients.RunAsync(8, stop.Token);
        await Eventually.UntilAsync("the clients are at work", () => clients.Acknowledged >= 20, TimeSpan.FromSeconds(60));

        await postgres.Server.StopImmediatelyAsync(CancellationToken.None);

        var waited = Stopwatch.StartNew();
        var (status, code, retryAfter) = await clients.AskOnceAsync("while-away");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
        Assert.Contains(code, new[] { "journal_unavailable", "outcome_unknown" });
        Assert.NotNull(retryAfter);
        Assert.True(waited.Elapsed < TimeSpan.FromSeconds(30), $"the answer took {waited.Elapsed}, ten budgets");
        await Eventually.UntilAsync("the others have heard it too", () => clients.Problems.Count > 0, TimeSpan.FromSeconds(60));

        await postgres.Server.StartAsync(CancellationToken.None, keepPort: true);
        var before = clients.Acknowledged;
        await Eventually.UntilAsync("service has resumed", () => clients.Acknowledged >= before + 20, TimeSpan.FromSeconds(120));
        await stop.CancelAsync();
        await working.WaitAsync(TimeSpan.FromSeconds(120), TestContext.Current.CancellationToken);

        await clients.AuditAsync(database.App);
    }
}
