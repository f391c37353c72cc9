using Bank.Testing;
using Npgsql;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Journal;

/// <summary>Tests that kill their server, or change how it commits, share one that is not the others'.</summary>
[CollectionDefinition(Name)]
public sealed class UnshakenServer : ICollectionFixture<UnshakenPostgres>
{
    public const string Name = "a server that may be killed";
}

[Collection(UnshakenServer.Name)]
public sealed class DeathTests(UnshakenPostgres postgres) : JournalTest(postgres)
{
    private static readonly TimeSpan Budget = TimeSpan.FromSeconds(3);

    [Fact]
    public async Task Writers_whose_backends_are_terminated_again_and_again_lose_and_double_nothing()
    {
        var load = Begin();
        for (var i = 0; i < Scale.Of(10, full: 100); i++)
        {
            await load.AcknowledgedMoreAsync(10);
            await AsSuperuserAsync(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'journal appends'
                """);
        }

        await load.AcknowledgedMoreAsync(10);
        await load.EndAsync(App, Cancellation);
        Assert.NotEmpty(Logged.Of("CallLost"));
    }

    [Theory]
    [InlineData("stopped")]
    [InlineData("stopped immediately")]
    [InlineData("killed")]
    public async Task A_server_that_goes_under_load_costs_nothing_and_comes_back_unaided(string what)
    {
        var load = Begin();
        for (var i = 0; i < Scale.Of(1, full: 10); i++)
        {
            await load.AcknowledgedMoreAsync(10);
            var heard = load.Heard("Unknown", "Unavailable");
            await (what switch
            {
                "stopped" => Postgres.Server.StopAsync(Cancellation),
                "stopped immediately" => Postgres.Server.StopImmediatelyAsync(Cancellation),
                _ => Postgres.Server.KillAsync(Cancellation),
            });
            // Callers are told while the server is away, not when it is back.
            await Eventually.UntilAsync(
                "every client has been told that the journal does not answer",
                () => Task.FromResult(load.Heard("Unknown", "Unavailable") - heard), told => told >= 12, TimeSpan.FromSeconds(60));
            await Postgres.Server.StartAsync(Cancellation, keepPort: true);
            NpgsqlConnection.ClearAllPools();
        }

        await load.AcknowledgedMoreAsync(10);
        await load.EndAsync(App, Cancellation);
        Assert.True(load.Longest < 5 * Budget, $"a caller has waited for {load.Longest}");
    }

    private Load Begin() => Load.Start(
        [.. Enumerable.Range(0, 3).Select(_ => Open(o => (o.CallTimeout, o.WriteBudget) = (TimeSpan.FromSeconds(1), Budget)))],
        clients: 12);
}
