using Bank.Host.Cluster;
using Bank.Testing;
using Xunit;

namespace Bank.Cluster.Tests.Processes;

/// <summary>A small cluster on a database that somebody else keeps, and its end.</summary>
public sealed class ExternalDatabaseTests(PrivatePostgres postgres) : IAsyncDisposable
{
    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("bank-");

    [Fact]
    public async Task A_cluster_is_stopped_whoever_keeps_its_database()
    {
        var environment = await EnvironmentAsync();
        await using var cluster = BankProcess.Start(
            ["cluster", "--silos", "1", "--gateways", "1", "--drain-delay", "0"], environment);
        await cluster.SaysAsync("gateway 1 is starting");
        var (exitCode, said) = await BankProcess.RunAsync(["cluster", "stop"], environment);
        Assert.True(exitCode == 0, said);
        // It has ended when the command says so.
        Assert.Equal(0, await cluster.EndAsync(TimeSpan.FromSeconds(10)));
    }

    [Fact]
    public async Task What_dies_while_a_cluster_closes_is_not_started_again()
    {
        await using var cluster = BankProcess.Start(
            ["cluster", "--silos", "1", "--gateways", "1", "--drain-delay", "5", "--restart"], await EnvironmentAsync());
        await cluster.SaysAsync("the cluster is open");
        await AskAsync<object?>(HttpMethod.Post, "/stop");
        await cluster.SaysAsync("closing");
        // While the gateway drains.
        await AskAsync<MemberReport>(HttpMethod.Post, "/members/silo/1/kill");
        var states = new HashSet<string>();
        await Eventually.UntilAsync(
            "the cluster has ended",
            async () =>
            {
                if (!cluster.HasEnded)
                    states.Add((await AskAsync<MemberReport[]>(HttpMethod.Get, "/members")).Single(member => member.Role == "silo").State);
                return (cluster.HasEnded, cluster.Output);
            },
            LocalCluster.Patience);
        Assert.Equal(["dead"], states);
        Assert.Equal(0, await cluster.EndAsync());
    }

    public ValueTask DisposeAsync()
    {
        directory.Delete(recursive: true);
        return ValueTask.CompletedTask;
    }

    private Task<T> AskAsync<T>(HttpMethod method, string path) =>
        ClusterControl.AskAsync<T>(directory.FullName, method, path, TestContext.Current.CancellationToken);

    private async Task<Dictionary<string, string?>> EnvironmentAsync() => new()
    {
        ["BANK_DATA_DIR"] = directory.FullName,
        ["ConnectionStrings__Bank"] = (await postgres.CreateDatabaseAsync()).App,
        ["BANK_ACCEPT_LOSING_MONEY"] = "1",
        ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{Host.Ports.PreferredOrFree(0)}",
    };
}
