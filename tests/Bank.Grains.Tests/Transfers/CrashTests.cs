using System.Diagnostics;
using System.Globalization;
using Bank.Grains.TestHost;
using Bank.Host;
using Bank.Host.Commands;
using Bank.Testing;
using Npgsql;
using Xunit;

namespace Bank.Grains.Tests.Transfers;

/// <summary>
/// Death with kill -9 at every point between two steps of a transfer: of the only silo, where whoever is started next ends what was begun,
/// and of one of two, where the other one does.
/// </summary>
public sealed class CrashTests(PrivatePostgres postgres)
{
    // For what is waited for; whether it took too long is asked afterwards.
    private static readonly TimeSpan EndingTakes = TimeSpan.FromSeconds(90);

    private static readonly string[] Roles = ["transfer", "source", "destination"];

    // In the suite one kill ends a transfer at every point, three times. On demand, with BANK_SAGA_SINGLY=1, each point has its own kills.
    private static bool Singly => Environment.GetEnvironmentVariable("BANK_SAGA_SINGLY") is "1";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_transfer_that_is_killed_at_any_point_ends_right_in_the_next_process()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var app = NpgsqlDataSource.Create(database.App);
        string[] ports = [$"{Ports.PreferredOrFree(0)}", $"{Ports.PreferredOrFree(0)}"];
        var rounds = Singly
            ? SagaPoint.All.SelectMany(point => Enumerable.Repeat<SagaPoint[]>([point], 3))
            : Enumerable.Repeat(SagaPoint.All.ToArray(), 3);
        Trial[] killed = [];
        var longest = TimeSpan.Zero;
        foreach (var round in rounds)
        {
            await using var host = Start(database, ports);
            await EndAsync(host);
            killed = [.. round.Select(Trial.New)];
            foreach (var trial in killed)
                await host.TellAsync($"hold {trial}");
            foreach (var trial in killed)
                await host.TellAsync($"begin {trial}");
            foreach (var trial in killed)
                await host.SaysAsync($"stopped {trial.Transfer}");
            host.Kill();
            await host.EndAsync();
        }

        await using var last = Start(database, ports);
        await EndAsync(last);
        AssertSoon(longest);
        Assert.Empty((await Check.ReadAsync(database.App, Cancellation)).Violations);

        async Task EndAsync(BankProcess host)
        {
            await host.SaysAsync("open");
            var clock = Stopwatch.StartNew();
            await Task.WhenAll(killed.Select(trial => EndsAsync(app, trial, isRequested: trial.Point.IsRequested)));
            longest = TimeSpan.FromTicks(Math.Max(longest.Ticks, clock.Elapsed.Ticks));
        }
    }

    [Fact]
    public async Task A_transfer_ends_right_when_the_silo_of_the_transfer_of_the_source_or_of_the_destination_is_killed_at_any_point()
    {
        (SagaPoint Point, string Role)[] trials = [.. from point in SagaPoint.All from role in Roles select (point, role)];
        // On demand each kill has its own transfer; then most of the time is waiting, so several clusters wait together.
        const int clusters = 3;
        await Task.WhenAll(Singly
            ? Enumerable.Range(0, clusters).Select(n => KillAsync(trials.Where((_, i) => i % clusters == n).Chunk(1)))
            : [KillAsync([trials])]);
    }

    private async Task KillAsync(IEnumerable<(SagaPoint Point, string Role)[]> rounds)
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var app = NpgsqlDataSource.Create(database.App);
        var (survivor, victim) = (Start(database, AnyPorts()), Start(database, AnyPorts()));
        try
        {
            var longest = TimeSpan.Zero;
            foreach (var round in rounds)
            {
                var (here, there) = (await AddressAsync(survivor), await AddressAsync(victim));
                (string Role, Trial Trial)[] trials = [.. round.Select(t => (t.Role, Trial.New(t.Point)))];
                foreach (var (_, trial) in trials)
                {
                    await survivor.TellAsync($"hold {trial}");
                    await victim.TellAsync($"hold {trial}");
                }

                await victim.SaysAsync($"holds {trials[^1].Trial.Transfer}");
                foreach (var (role, trial) in trials)
                    await survivor.TellAsync($"begin {trial} {string.Join(' ', Roles.Select(r => r == role ? there : here))}");
                foreach (var (role, trial) in trials)
                    await Eventually.UntilAsync(
                        $"the transfer is stopped {trial.Point}, its {role} in the silo that is to be killed",
                        () => Task.FromResult(
                            ((survivor.Output + victim.Output).Contains($"stopped {trial.Transfer}", StringComparison.Ordinal),
                            (object?)survivor.Output)),
                        EndingTakes);

                victim.Kill();
                await victim.EndAsync();
                var clock = Stopwatch.StartNew();
                await survivor.TellAsync("release");
                // Its client has lived on, and asks until it knows.
                await Task.WhenAll(trials.Select(t => EndsAsync(app, t.Trial, isRequested: true)));
                foreach (var (_, trial) in trials)
                    await survivor.SaysAsync($"ended {trial.Transfer} {trial.Point.End}");
                longest = TimeSpan.FromTicks(Math.Max(longest.Ticks, clock.Elapsed.Ticks));
                if (!Singly)
                    break;
                await victim.DisposeAsync();
                (survivor, victim) = (Start(database, AnyPorts()), survivor);
            }

            AssertSoon(longest);
            Assert.Empty((await Check.ReadAsync(database.App, Cancellation)).Violations);
        }
        finally
        {
            await survivor.DisposeAsync();
            await victim.DisposeAsync();
        }
    }

    // Three times the 15 s that are promised where forty wait for one machine; on demand the promise.
    private static void AssertSoon(TimeSpan longest)
    {
        TestContext.Current.TestOutputHelper!.WriteLine($"all had ended after {longest.TotalSeconds:0.0} s at the latest");
        Assert.InRange(longest, TimeSpan.Zero, TimeSpan.FromSeconds(15) * (Singly ? 1 : 3));
    }

    private static BankProcess Start(TestDatabase database, string[] ports) => BankProcess.Start(
        [database.App, .. ports], new Dictionary<string, string?>(), "Bank.Grains.TestHost.dll");

    private static string[] AnyPorts() => [$"{Ports.PreferredOrFree(0)}", $"{Ports.PreferredOrFree(0)}"];

    private static async Task<string> AddressAsync(BankProcess host) => (await host.SaysAsync("open "))["open ".Length..];

    private static async Task EndsAsync(NpgsqlDataSource app, Trial trial, bool isRequested) => await Eventually.UntilAsync(
        $"the transfer that was killed {trial.Point} is \"{Expected(trial.Point, isRequested)}\"",
        () => ReadAsync(app, trial),
        state => state == Expected(trial.Point, isRequested),
        EndingTakes);

    private static string Expected(SagaPoint point, bool isRequested)
    {
        var (end, source, destination) = point.Way switch
        {
            _ when !isRequested => ("", point.Funds, 0),
            Way.Completed => ("TransferRequested TransferCompleted", point.Funds - SagaPoint.Amount, SagaPoint.Amount),
            Way.Rejected => ("TransferRequested TransferRejected", point.Funds, 0),
            _ => ("TransferRequested ReturnDecided TransferFailed", point.Funds, 0),
        };
        return string.Create(CultureInfo.InvariantCulture, $"{end}, {source / 100m:0.00} and {destination / 100m:0.00}");
    }

    private static async Task<string> ReadAsync(NpgsqlDataSource app, Trial trial)
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
        foreach (var id in (Guid[])[trial.Transfer, trial.Source, trial.Destination])
            command.Parameters.Add(new() { Value = id.ToString() });
        return (string)(await command.ExecuteScalarAsync())!;
    }
}
