using Bank.Testing;
using Xunit;

namespace Bank.Cluster.Tests.Processes;

/// <summary>A cluster on a database that somebody else keeps.</summary>
public sealed class ExternalDatabaseTests(PrivatePostgres postgres)
{
    [Fact]
    public async Task A_cluster_is_stopped_whoever_keeps_its_database()
    {
        var database = await postgres.CreateDatabaseAsync();
        var directory = Directory.CreateTempSubdirectory("bank-");
        try
        {
            var environment = new Dictionary<string, string?>
            {
                ["BANK_DATA_DIR"] = directory.FullName,
                ["ConnectionStrings__Bank"] = database.App,
                ["BANK_ACCEPT_LOSING_MONEY"] = "1",
                ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{Host.Ports.PreferredOrFree(0)}",
            };
            await using var cluster = BankProcess.Start(
                ["cluster", "--silos", "1", "--gateways", "1", "--drain-delay", "0"], environment);
            await cluster.SaysAsync("gateway 1 is starting");
            var (exitCode, said) = await BankProcess.RunAsync(["cluster", "stop"], environment);
            Assert.True(exitCode == 0, said);
            // It is closed when the command says so.
            Assert.Equal(0, await cluster.EndAsync(TimeSpan.FromSeconds(10)));
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }
}
