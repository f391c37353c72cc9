using System.Globalization;
using Bank.Testing;
using Npgsql;
using Orleans.EventSourcing.Postgres;
using Xunit;

namespace Bank.ReadModel.Tests;

/// <summary>No event is missed and none is written twice, whatever happens to deliveries, activations and connections.</summary>
public sealed class ExactlyOnceTests(PrivatePostgres postgres) : ReadModelTest(postgres)
{
    // How long 32 clients go on; on demand longer: BANK_PROJECTIONS_SECONDS=60.
    private static readonly TimeSpan Writing = TimeSpan.FromSeconds(
        int.Parse(Environment.GetEnvironmentVariable("BANK_PROJECTIONS_SECONDS") ?? "10", CultureInfo.InvariantCulture));

    [Fact]
    public async Task The_tables_equal_a_fold_of_the_journal_while_writers_stall_and_projections_are_killed_moved_and_paused()
    {
        ProjectionRuntime[] silos = [Runtime(), Runtime()];
        var partitions = await OpenAsync(silos[0]);
        var delivery = new JournalDelivery(App, PartitionCount);
        delivery.Receivers.AddRange(partitions.All);
        var operations = new ProjectionOperations(silos[0], Journal(), TimeProvider.System, partitions.WakeAsync);
        using var stop = new CancellationTokenSource();
        var delivering = delivery.KeepDeliveringAsync(stop.Token);
        using var writing = new CancellationTokenSource(Writing);

        var writers = Enumerable.Range(1, 32).Select(async seed =>
        {
            var random = new Random(seed);
            var writer = Writer(seed, accounts: 6);
            while (!writing.IsCancellationRequested)
            {
                await writer.ActAsync();
                // Some are held up before they append.
                if (random.Next(30) == 0)
                    await Task.Delay(random.Next(200), CancellationToken.None);
            }
        }).ToList();
        var stalling = StallAsync(writing.Token);
        var moving = MoveAsync(partitions, silos, delivery, writing.Token);
        var pausing = PauseAsync(operations, writing.Token);
        await Task.WhenAll([.. writers, stalling, moving, pausing]);
        await CaughtUpAsync(partitions);
        await stop.CancelAsync();
        await delivering;

        Assert.InRange(await moving, 5, int.MaxValue);
        Assert.InRange(await stalling, 1, int.MaxValue);
        Assert.InRange(await pausing, 4, int.MaxValue);
        await TablesEqualTheFoldAsync();
    }

    [Fact]
    public async Task Two_activations_of_every_partition_write_everything_once()
    {
        var first = await OpenAsync(Runtime());
        var second = await OpenAsync(Runtime());
        var delivery = new JournalDelivery(App, PartitionCount);
        delivery.Receivers.AddRange(first.All.Concat(second.All));
        await WriteAsync(delivery);
        await CaughtUpAsync(first);
        await CaughtUpAsync(second);
        await TablesEqualTheFoldAsync();
    }

    [Fact]
    public async Task Deliveries_that_are_repeated_reordered_or_lost_change_nothing()
    {
        var partitions = await OpenAsync(Runtime());
        var random = new Random(7);
        var delivery = new JournalDelivery(App, PartitionCount);
        delivery.Receivers.AddRange(partitions.All);
        delivery.Fate = intervals =>
        {
            var fate = intervals.Where(i => random.Next(5) > 0).ToList();
            fate.AddRange(fate.Where(_ => random.Next(3) == 0).ToList());
            return fate.OrderBy(_ => random.Next()).ToList();
        };
        await WriteAsync(delivery, size: 7);
        await CaughtUpAsync(partitions);
        await TablesEqualTheFoldAsync();
    }

    [Fact]
    public async Task Connections_that_are_cut_before_in_and_after_a_commit_change_nothing()
    {
        var random = new Random(11);
        await using var proxy = new TcpProxy(Database.App);
        var runtime = Runtime(connectionString: proxy.Through(Database.App), configure: o => o.MaxBackoff = TimeSpan.FromMilliseconds(50));
        var partitions = await OpenAsync(runtime);
        proxy.OnRequest = _ =>
        {
            lock (random)
                return random.Next(25) switch
                {
                    0 => Fault.CutBefore,
                    1 => Fault.CutAfter,
                    2 => Fault.CutInReply,
                    _ => Fault.None,
                };
        };
        var delivery = new JournalDelivery(App, PartitionCount);
        delivery.Receivers.AddRange(partitions.All);
        await WriteAsync(delivery);
        proxy.OnRequest = _ => Fault.None;
        await CaughtUpAsync(partitions);
        Assert.InRange(proxy.Connections.Accepted, 20, int.MaxValue);
        await TablesEqualTheFoldAsync();
    }

    // A journal that grows while it is delivered in small pieces.
    private async Task WriteAsync(JournalDelivery delivery, int size = 50)
    {
        var writers = Enumerable.Range(100, 8).Select(async seed =>
        {
            var writer = Writer(seed, accounts: 5);
            for (var n = 0; n < 100; n++)
                await writer.ActAsync();
        }).ToList();
        var all = Task.WhenAll(writers);
        while (!all.IsCompleted)
        {
            await delivery.DeliverAsync(size);
            await Task.Delay(2, Cancellation);
        }

        await all;
        await delivery.DeliverAsync(size);
    }

    // Another session holds the head: appends that were numbered wait inside Postgres.
    private async Task<int> StallAsync(CancellationToken stop)
    {
        var random = new Random(3);
        var stalls = 0;
        for (; !stop.IsCancellationRequested; stalls++)
        {
            await using var connection = await Owner.OpenConnectionAsync(CancellationToken.None);
            await using var transaction = await connection.BeginTransactionAsync(CancellationToken.None);
            await using (var hold = new NpgsqlCommand("SELECT FROM journal.head FOR UPDATE", connection))
                await hold.ExecuteNonQueryAsync(CancellationToken.None);
            await Task.Delay(random.Next(200), CancellationToken.None);
            await transaction.CommitAsync(CancellationToken.None);
            await Task.Delay(random.Next(1_000), CancellationToken.None);
        }

        return stalls;
    }

    // One projection after the other, each at least once.
    private static async Task<int> PauseAsync(ProjectionOperations operations, CancellationToken stop)
    {
        var projections = OfTheBank();
        var pauses = 0;
        for (; pauses < projections.Length || !stop.IsCancellationRequested; pauses++)
        {
            var name = projections[pauses % projections.Length].Name;
            await operations.PauseAsync(name, new("test"), Cancellation);
            await Task.Delay(300, CancellationToken.None);
            await operations.ResumeAsync(name, new("test"), Cancellation);
            await Task.Delay(300, CancellationToken.None);
        }

        return pauses;
    }

    private static async Task<int> MoveAsync(
        Partitions partitions, ProjectionRuntime[] silos, JournalDelivery delivery, CancellationToken stop)
    {
        var random = new Random(5);
        var moves = 0;
        for (; !stop.IsCancellationRequested; moves++)
        {
            await partitions.MoveAsync(random.Next(partitions.All.Count), silos[random.Next(2)], delivery);
            await Task.Delay(random.Next(40), CancellationToken.None);
        }

        return moves;
    }
}
