using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Bank.ReadModel.Accounts;
using Bank.ReadModel.Transactions;
using Bank.Testing;
using Npgsql;
using Orleans.EventSourcing.Postgres;
using Xunit;

namespace Bank.ReadModel.Tests;

public sealed class RebuildTests(PrivatePostgres postgres) : ReadModelTest(postgres)
{
    // How long the journal is that is filled from; on demand more: BANK_REBUILD_EVENTS=1000000.
    private static readonly int Events =
        int.Parse(Environment.GetEnvironmentVariable("BANK_REBUILD_EVENTS") ?? "4000", CultureInfo.InvariantCulture);

    [Fact]
    public async Task New_tables_are_filled_beside_the_old_ones_and_take_their_place_without_an_error_to_any_reader()
    {
        var before = Writer(seed: 1);
        while (before.Last.Value < 1_000)
            await before.ActAsync();
        var partitions = await OpenAsync(Runtime(configure: o => (o.PageEvents, o.BatchEvents) = (100, 50)));
        var delivery = new JournalDelivery(App, PartitionCount);
        delivery.Receivers.AddRange(partitions.All);
        using var stop = new CancellationTokenSource();
        var delivering = delivery.KeepDeliveringAsync(stop.Token);
        await CaughtUpAsync(partitions);

        // Commands go on, and so do readers, each of whom must see what it has seen before.
        var operations = new ProjectionOperations(Runtime(), Journal(), TimeProvider.System, partitions.WakeAsync);
        var queries = new AccountQuery(Queries(partitions));
        using var working = new CancellationTokenSource();
        var writing = WriteAsync(Writer(seed: 2), working.Token);
        var reading = Enumerable.Range(0, 4).Select(_ => ReadAsync(queries, working.Token)).ToList();
        foreach (var projection in OfTheBank())
            await operations.RebuildAsync(projection.Name, new("an operator", "to see it"), Cancellation);
        var status = new ProjectionStatusReader(App);
        await Eventually.UntilAsync(
            "all four serve their second generation",
            async () => await status.ReadAsync(Cancellation),
            all => all.Count == 4 && all.All(p => p is { Generation: 2, State: "running", Progress: null }),
            Patience);
        await working.CancelAsync();
        await writing;
        foreach (var reader in reading)
            Assert.InRange(await reader, 1, int.MaxValue);

        await CaughtUpAsync(partitions);
        await stop.CancelAsync();
        await delivering;
        await TablesEqualTheFoldAsync();
        Assert.Equal(0, await ScalarAsync<long>("SELECT count(*) FROM pg_class WHERE relname LIKE '%\\_1' AND relkind = 'r'"));
        Assert.Equal(
            ["an operator: to see it"],
            await LinesAsync(
                "SELECT (data ->> 'by') || ': ' || (data ->> 'reason') FROM journal.events WHERE stream_id = 'projection-transfers'"));
    }

    [Fact]
    public async Task A_rebuild_that_was_killed_goes_on_from_where_it_was()
    {
        var writer = Writer(seed: 3);
        while (writer.Last.Value < 1_000)
            await writer.ActAsync();
        // The new tables come half-way, and then the database seems to be away.
        var held = new Observed(new TransactionsProjection(), (events, generation) =>
        {
            if (generation == 2 && events[^1].Position.Value > 500)
                throw new TimeoutException("not further");
        });
        var runtime = Runtime([held], o => o.PageEvents = 50);
        var first = await OpenAsync(runtime);
        await CaughtUpAsync(first);
        await new ProjectionOperations(runtime, Journal(), TimeProvider.System, first.WakeAsync)
            .RebuildAsync("transactions", new("test"), Cancellation);
        const string positions = "SELECT position::text FROM readmodel.checkpoints WHERE generation = 2 ORDER BY partition";
        await Eventually.UntilAsync(
            "every partition of the new tables is half-way",
            () => LinesAsync(positions),
            found => found.Count == PartitionCount && found.All(f => int.Parse(f, CultureInfo.InvariantCulture) > 300),
            Patience);
        await first.DisposeAsync();
        var reached = (await LinesAsync(positions)).ConvertAll(f => long.Parse(f, CultureInfo.InvariantCulture));

        var again = new ConcurrentQueue<long>();
        var free = new Observed(new TransactionsProjection(), (events, _) => again.Enqueue(events[0].Position.Value));
        var second = await OpenAsync(Runtime([free], o => o.PageEvents = 50));
        await Eventually.UntilAsync(
            "the second generation serves",
            async () => await new ProjectionStatusReader(App).ReadAsync(Cancellation),
            all => all.Single() is { Generation: 2, State: "running" },
            Patience);
        await CaughtUpAsync(second);
        Assert.InRange(again.Min(), reached.Min() + 1, long.MaxValue);
        Assert.Equal((await JournalFold.OfJournalAsync(App))["transactions"], await TransactionsAsync());
    }

    [Fact]
    public async Task Rebuild_of_transactions_in_events_per_second()
    {
        var journal = Journal();
        var filling = Enumerable.Range(0, 64).Select(async n =>
        {
            var writer = new BankWriter(journal, 1_000 + n, accounts: 200);
            while (writer.Last.Value < Events)
                await writer.ActAsync();
        });
        await Task.WhenAll(filling);
        var runtime = Runtime([new TransactionsProjection()]);
        var clock = Stopwatch.StartNew();
        var partitions = await OpenAsync(runtime);
        await CaughtUpAsync(partitions);
        var head = await ScalarAsync<long>("SELECT position FROM journal.head");
        TestContext.Current.TestOutputHelper!.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"transactions: {head / clock.Elapsed.TotalSeconds:n0} events/s over {head} events"));
        Assert.Equal((await JournalFold.OfJournalAsync(App))["transactions"], await TransactionsAsync());
    }

    private async Task<IReadOnlyList<string>> TransactionsAsync() => await LinesAsync(JournalFold.Transactions);

    private static async Task WriteAsync(BankWriter writer, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
            await writer.ActAsync();
    }

    private static async Task<int> ReadAsync(AccountQuery accounts, CancellationToken stop)
    {
        var (seen, asOf, reads) = (0, default(Position), 0);
        for (; !stop.IsCancellationRequested; reads++)
        {
            var page = await accounts.ListAsync(null, null, 1_000, null, default, Cancellation);
            Assert.InRange(page.Items.Count, seen, int.MaxValue);
            Assert.InRange(page.AsOf.Value, asOf.Value, long.MaxValue);
            (seen, asOf) = (page.Items.Count, page.AsOf);
        }

        return reads;
    }

    private async Task<List<string>> LinesAsync(string sql)
    {
        var lines = new List<string>();
        await using var command = App.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync(Cancellation);
        while (await reader.ReadAsync(Cancellation))
            lines.Add(reader.GetString(0));
        lines.Sort(StringComparer.Ordinal);
        return lines;
    }
}
