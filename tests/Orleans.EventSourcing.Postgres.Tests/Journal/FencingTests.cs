using Bank.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Journal;

public sealed class FencingTests(PrivatePostgres postgres) : JournalTest(postgres)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task A_fenced_silo_writes_and_confirms_nothing_any_more_and_is_told_once()
    {
        var fences = new CountingFences();
        var (fenced, other) = (Open(silo: "test/frozen", fences: fences), Open());
        var first = Make.First("account-1");
        await fenced.AppendAsync(first);
        Assert.Equal(0, fences.Told);
        await FenceAsync("test/frozen");
        var before = await RecordAsync();

        var inFlight = Enumerable.Range(0, 20).Select(n => fenced.AppendAsync(Make.First($"account-2{n}")).AsTask()).ToList();
        Assert.All(await Task.WhenAll(inFlight), outcome => Assert.IsType<AppendOutcome.Unavailable>(outcome));
        Assert.IsType<AppendOutcome.Unavailable>(await fenced.AppendAsync(first.Next()));
        Assert.IsType<Answer.Unavailable>(await fenced.AskAsync(new("account-1", null)));

        Assert.Equal((before, 1), (await RecordAsync(), fences.Told));
        Assert.IsType<AppendOutcome.Appended>(await other.AppendAsync(first.Next(epoch: new())));
    }

    [Fact]
    public async Task A_fence_waits_for_the_head_so_what_was_sent_before_it_is_seen_and_what_comes_after_it_is_refused()
    {
        var journal = Open(silo: "test/frozen");
        await journal.AskAsync(new("account-1", null));
        var head = await HoldHeadAsync();
        var before = journal.AppendAsync(Make.First("account-1")).AsTask();
        await WaitersAsync(1);
        var fence = FenceAsync("test/frozen");
        await WaitersAsync(2);
        var after = journal.AppendAsync(Make.First("account-2")).AsTask();
        Assert.False(fence.IsCompleted);
        await head.ReleaseAsync();
        await fence;

        // Whoever loads now sees all that the silo will ever have written. The second append may have come to the head before the fence or
        // after it: if before, it is seen.
        var seen = await CountEventsAsync();
        Assert.IsType<AppendOutcome.Appended>(await before);
        Assert.Equal(seen, await after is AppendOutcome.Appended ? 2 : 1);
        Assert.IsType<AppendOutcome.Unavailable>(await journal.AppendAsync(Make.First("account-3")));
        Assert.Equal(seen, await CountEventsAsync());
    }

    [Fact]
    public async Task An_append_that_waits_for_the_head_behind_a_fence_is_refused()
    {
        var journal = Open(silo: "test/frozen");
        await journal.AskAsync(new("account-1", null));
        var head = await HoldHeadAsync();
        var fence = FenceAsync("test/frozen");
        await WaitersAsync(1);
        var append = journal.AppendAsync(Make.First("account-1")).AsTask();
        await WaitersAsync(2);
        await head.ReleaseAsync();
        await fence;

        Assert.IsType<AppendOutcome.Unavailable>(await append);
        Assert.Equal(0, await CountEventsAsync());
    }

    [Fact]
    public async Task Nothing_is_loaded_before_the_dead_are_fenced()
    {
        var fences = new CountingFences();
        var journal = Open(fences: fences);
        await journal.AppendAsync(Make.First("account-1"));

        var loading = journal.LoadAsync("account-1", 1, 100, Cancellation);
        Assert.False(loading.IsCompleted);
        fences.Open.SetResult();
        Assert.Single((await loading).Events);
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(0, false)]
    [InlineData(4, true)]
    [InlineData(4, false)]
    public async Task A_silo_that_knows_an_event_that_the_journal_has_lost_writes_and_confirms_nothing_any_more(int grownAgain, bool itsOwn)
    {
        await using var network = new TcpProxy(Database.App);
        var (fences, other) = (new CountingFences(), Open());
        var journal = OpenThrough(network, fences: fences);
        await using var tailer = new JournalTailer(
            new() { ConnectionString = network.Through(Database.App) }, new(), journal, TimeProvider.System,
            NullLogger<JournalTailer>.Instance);
        using var subscription = await tailer.SubscribeAsync(default, null, 10, Cancellation);
        await journal.AppendAsync(Make.First("account-1"));
        Assert.IsType<AppendOutcome.Appended>(await (itsOwn ? journal : other).AppendAsync(Make.First("account-2")));
        await Eventually.UntilAsync("the process has heard of it", () => tailer.Position.Value == 2, Patience);

        network.Refusing = true;
        network.CutAll();
        await RestoreToAsync(1);
        for (var n = 0; n < grownAgain; n++)
            await other.AppendAsync(Make.First($"account-3{n}"));
        network.Refusing = false;
        await Eventually.UntilAsync("the tailer stands at the new head", () => tailer.Position.Value == 1 + grownAgain, Patience);
        var before = await RecordAsync();

        Assert.IsNotType<AppendOutcome.Appended>(await journal.AppendAsync(Make.First("account-4")));
        Assert.IsType<Answer.Unavailable>(await journal.AskAsync(new("account-1", null)));
        Assert.Equal((before, 1), (await RecordAsync(), fences.Told));
    }

    private async Task FenceAsync(string silo)
    {
        await using var command = App.CreateCommand("SELECT journal.fence($1)");
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [silo] });
        await command.ExecuteNonQueryAsync(Cancellation);
    }

    private sealed class CountingFences : ISiloFences
    {
        private int _told;

        public int Told => _told;

        public TaskCompletionSource Open { get; } = new();

        public Task WaitAsync(CancellationToken cancellation) => Open.Task;

        public void OnFenced() => Interlocked.Increment(ref _told);
    }
}
