using System.Diagnostics;
using System.Globalization;
using Bank.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;
using Orleans.EventSourcing.Postgres;
using Xunit;

namespace Bank.ReadModel.Tests;

/// <summary>
/// How soon a row is there of itself: nobody asks the projections for its position, which would have them read the table. Times are three
/// times what is promised, since other tests may be at work; how small they are says <c>./bank bench projections</c>.
/// </summary>
public sealed class LagTests(PrivatePostgres postgres) : SiloTest(postgres)
{
    private static readonly TimeSpan Promised = 3 * TimeSpan.FromSeconds(2);

    // On demand for longer: BANK_STUCK_SECONDS=60.
    private static readonly TimeSpan Stuck = TimeSpan.FromSeconds(
        int.Parse(Environment.GetEnvironmentVariable("BANK_STUCK_SECONDS") ?? "2", CultureInfo.InvariantCulture));

    [Fact]
    public async Task Rows_come_soon_although_the_connection_that_hears_of_events_is_cut_again_and_again()
    {
        using var silo = await StartAsync();
        await RowTakesAsync(silo);
        await using var superuser = NpgsqlDataSource.Create(Postgres.Server.SuperuserConnectionString);
        for (var cut = 0; cut < 5; cut++)
        {
            await Eventually.UntilAsync(
                "the connection is there, and is cut",
                async () =>
                {
                    await using var terminate = superuser.CreateCommand(
                        $"""
                        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                        WHERE application_name = 'journal tail' AND datname = '{Database.Name}'
                        """);
                    return ((long)(await terminate.ExecuteScalarAsync(Cancellation))! > 0, (object?)"none to cut");
                },
                Patience);
            Assert.InRange(await RowTakesAsync(silo), TimeSpan.Zero, Promised);
        }

        await silo.StopAsync(Cancellation);
    }

    [Fact]
    public async Task A_projection_that_is_stuck_leaves_the_others_as_quick_as_they_are()
    {
        using var silo = await StartAsync();
        await RowTakesAsync(silo);
        var free = await MedianAsync(silo, TimeSpan.FromSeconds(1));
        TimeSpan stuck;
        await using (var connection = await App.OpenConnectionAsync(Cancellation))
        await using (var transaction = await connection.BeginTransactionAsync(Cancellation))
        {
            await using var hold = new NpgsqlCommand("LOCK TABLE readmodel.daily_totals_1 IN ACCESS EXCLUSIVE MODE", connection);
            await hold.ExecuteNonQueryAsync(Cancellation);
            stuck = await MedianAsync(silo, Stuck);
            Assert.InRange((await DailyTotalsAsync(silo)).LagEvents, 1, long.MaxValue);
        }

        TestContext.Current.TestOutputHelper!.WriteLine(
            $"a row takes {free.TotalMilliseconds} ms, beside a stuck one {stuck.TotalMilliseconds}");
        Assert.InRange(stuck, TimeSpan.Zero, 5 * free + TimeSpan.FromMilliseconds(200));
        await Eventually.UntilAsync(
            "the one that was stuck has caught up", () => DailyTotalsAsync(silo), status => status.LagEvents == 0, Patience);
        await silo.StopAsync(Cancellation);
    }

    private static async Task<ProjectionStatus> DailyTotalsAsync(IHost silo) =>
        (await silo.Services.GetRequiredService<ProjectionStatusReader>().ReadAsync(Cancellation)).Single(p => p.Name == "daily_totals");

    private async Task<TimeSpan> MedianAsync(IHost silo, TimeSpan time)
    {
        var clock = Stopwatch.StartNew();
        var taken = new List<TimeSpan>();
        while (clock.Elapsed < time || taken.Count < 20)
            taken.Add(await RowTakesAsync(silo));
        taken.Sort();
        return taken[taken.Count / 2];
    }

    private async Task<TimeSpan> RowTakesAsync(IHost silo)
    {
        var (id, _) = await OpenAccountAsync(silo);
        var acknowledged = Stopwatch.GetTimestamp();
        await Eventually.UntilAsync(
            "the account is in the table",
            () => ScalarAsync<long>($"SELECT count(*) FROM readmodel.accounts WHERE account_id = '{id}'"),
            count => count == 1,
            Patience);
        return Stopwatch.GetElapsedTime(acknowledged);
    }
}
