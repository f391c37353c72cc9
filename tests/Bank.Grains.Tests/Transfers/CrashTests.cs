using System.Globalization;
using Bank.Grains.TestHost;
using Bank.Host;
using Bank.Host.Commands;
using Bank.Testing;
using Npgsql;
using Xunit;

namespace Bank.Grains.Tests.Transfers;

/// <summary>
/// The death of the only silo, with kill -9, at every point between two steps of a transfer. Whoever is started next ends what was begun.
/// </summary>
public sealed class CrashTests(PrivatePostgres postgres)
{
    // The watchdog's 5 s, the 15 s that a transfer has, and patience with a machine that does other things besides.
    private static readonly TimeSpan EndingTakes = TimeSpan.FromSeconds(90);

    private static readonly string[] SiloPorts = [$"{Ports.PreferredOrFree(0)}", $"{Ports.PreferredOrFree(0)}"];

    private sealed record Stopped(SagaPoint Point, Guid Transfer, Guid Source, Guid Destination);

    // In the suite one kill ends a transfer at every point, three times. On demand, with BANK_SAGA_SINGLY=1, each point has its own kills.
    private static IEnumerable<int[]> Rounds
    {
        get
        {
            var all = Enumerable.Range(0, SagaPoint.All.Count).ToArray();
            return Environment.GetEnvironmentVariable("BANK_SAGA_SINGLY") is "1"
                ? all.SelectMany(point => Enumerable.Repeat<int[]>([point], 3))
                : Enumerable.Repeat(all, 3);
        }
    }

    [Fact]
    public async Task A_transfer_that_is_killed_at_any_point_ends_right_in_the_next_process()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var app = NpgsqlDataSource.Create(database.App);
        List<Stopped> killed = [];
        foreach (var round in Rounds)
        {
            await using var host = Start(database, round);
            await EndsAsync(app, killed, host);
            await host.SaysAsync("all stopped");
            killed = [.. host.Output.Split('\n').Where(line => line.StartsWith("stopped ", StringComparison.Ordinal)).Select(Parse)];
            Assert.Equal(round.Length, killed.Count);
            host.Kill();
            await host.EndAsync();
        }

        await using var last = Start(database, []);
        await EndsAsync(app, killed, last);
        Assert.Empty((await Check.ReadAsync(database.App, TestContext.Current.CancellationToken)).Violations);
    }

    private static BankProcess Start(TestDatabase database, int[] points) => BankProcess.Start(
        [database.App, .. SiloPorts, .. points.Select(point => $"{point}")],
        new Dictionary<string, string?>(),
        "Bank.Grains.TestHost.dll");

    private static async Task EndsAsync(NpgsqlDataSource app, List<Stopped> killed, BankProcess host)
    {
        await host.SaysAsync("open");
        await Task.WhenAll(killed.Select(async stopped => await Eventually.UntilAsync(
            $"the transfer that was killed {stopped.Point} is \"{Expected(stopped.Point)}\"",
            () => ReadAsync(app, stopped),
            state => state == Expected(stopped.Point),
            EndingTakes)));
    }

    private static string Expected(SagaPoint point)
    {
        var (end, source, destination) = point.Way switch
        {
            _ when !point.IsRequested => ("", point.Funds, 0),
            Way.Completed => ("TransferRequested TransferCompleted", point.Funds - SagaPoint.Amount, SagaPoint.Amount),
            Way.Rejected => ("TransferRequested TransferRejected", point.Funds, 0),
            _ => ("TransferRequested ReturnDecided TransferFailed", point.Funds, 0),
        };
        return string.Create(CultureInfo.InvariantCulture, $"{end}, {source / 100m:0.00} and {destination / 100m:0.00}");
    }

    private static async Task<string> ReadAsync(NpgsqlDataSource app, Stopped stopped)
    {
        await using var command = app.CreateCommand(
            """
            SELECT coalesce(string_agg(t.event_type, ' ' ORDER BY t.version), '')
                || ', ' || (SELECT s.data ->> 'balance_after' FROM journal.events s
                    WHERE s.stream_id = 'account-' || $2 AND s.data ? 'balance_after' ORDER BY s.version DESC LIMIT 1)
                || ' and ' || (SELECT d.data ->> 'balance_after' FROM journal.events d
                    WHERE d.stream_id = 'account-' || $3 AND d.data ? 'balance_after' ORDER BY d.version DESC LIMIT 1)
            FROM journal.events t WHERE t.stream_id = 'transfer-' || $1
            """);
        foreach (var id in (Guid[])[stopped.Transfer, stopped.Source, stopped.Destination])
            command.Parameters.Add(new() { Value = id.ToString() });
        return (string)(await command.ExecuteScalarAsync())!;
    }

    private static Stopped Parse(string line)
    {
        var words = line.Split(' ');
        return new(
            SagaPoint.All[int.Parse(words[1], CultureInfo.InvariantCulture)],
            Guid.Parse(words[2]),
            Guid.Parse(words[3]),
            Guid.Parse(words[4]));
    }
}
