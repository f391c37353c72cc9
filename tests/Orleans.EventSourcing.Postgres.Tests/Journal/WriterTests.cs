using Bank.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Journal;

public sealed class WriterTests(PrivatePostgres postgres) : JournalTest(postgres)
{
    [Fact]
    public async Task A_fault_of_the_writer_itself_leaves_nobody_waiting_and_the_next_call_goes_through()
    {
        await using var proxy = new TcpProxy(Database.App);
        var journal = OpenThrough(proxy, o => o.WriteBudget = TimeSpan.FromMinutes(10));
        await journal.AppendAsync(Make.First("account-1"));
        var cut = 1;
        proxy.OnRequest = _ => cut-- > 0 ? Fault.CutAfter : Fault.None;
        Logged.OnMessage = message =>
        {
            if (message == "CallLost")
                throw new InvalidOperationException("a logger that is broken");
        };
        var append = Make.First("account-2");

        Assert.IsType<AppendOutcome.Unknown>(await journal.AppendAsync(append).AsTask().WaitAsync(TimeSpan.FromSeconds(60), Cancellation));
        // Callers are answered first: the logger might be what is broken.
        await Eventually.UntilAsync("the fault was logged", () => Logged.Of("WriterFault").Any(), TimeSpan.FromSeconds(60));
        Logged.OnMessage = _ => { };
        Assert.IsType<AppendOutcome.AlreadyAppended>(await journal.AppendAsync(append.Again()));
    }

    [Fact]
    public async Task A_server_that_cannot_write_is_left_for_a_new_connection()
    {
        // A session keeps what it began with: as after a fail-over, only another connection finds a server that writes.
        await AsSuperuserAsync($"ALTER DATABASE {Database.Name} SET default_transaction_read_only = on");
        var append = Open(o => o.WriteBudget = TimeSpan.FromMinutes(2)).AppendAsync(Make.First("account-1")).AsTask();
        await Eventually.UntilAsync("a call was refused", () => Logged.Of("CallRefused").Any(), TimeSpan.FromSeconds(60));
        Assert.False(append.IsCompleted);
        await Postgres.AsSuperuserAsync($"ALTER DATABASE {Database.Name} RESET default_transaction_read_only");

        Assert.IsType<AppendOutcome.Appended>(await append);
    }

    [Fact]
    public async Task Two_writers_of_one_name_shut_each_other_out_and_each_append_is_recorded_once()
    {
        List<PostgresJournal> journals = [Open(silo: "test/same"), Open(silo: "test/same")];
        await journals[0].AppendAsync(Make.First("first-1"));
        var load = Load.Start(journals, clients: 6);
        await Eventually.UntilAsync(
            "each has shut the other out",
            () => Task.FromResult(Logged.Of("CallRefused").Count(text => text.Contains("JA001", StringComparison.Ordinal))),
            refused => refused >= 4,
            TimeSpan.FromSeconds(60));
        await load.AcknowledgedMoreAsync(6);
        await load.EndAsync(App, Cancellation);
    }

    [Theory]
    [InlineData(true, 2, true)]
    [InlineData(true, 1, false)]
    [InlineData(false, 2, false)]
    public async Task Where_others_append_too_a_writer_gathers_for_as_long_as_its_call_took(bool shared, int events, bool gathers)
    {
        var took = TimeSpan.FromMilliseconds(10);
        var (time, others) = (new FakeTimeProvider(), 0);
        var (journal, other) = (Open(time: time), Open());
        await journal.AppendAsync(Make.First("account-1"));
        if (shared)
            await AppendElsewhereAsync();
        await using (var head = await HoldHeadAsync())
        {
            var call = journal.AppendAsync(Make.Several("account-2", StreamState.Empty, events)).AsTask();
            await WaitersAsync(1);
            time.Advance(took);
            await head.ReleaseAsync();
            Assert.IsType<AppendOutcome.Appended>(await call);
        }

        var next = journal.AppendAsync(Make.First("account-3")).AsTask();
        if (gathers)
        {
            // By as many calls it would have been overtaken, had it been made at once.
            for (var n = 0; n < 20; n++)
                await AppendElsewhereAsync();
            Assert.False(next.IsCompleted);
        }

        await Eventually.UntilAsync(
            "the next call is through",
            () =>
            {
                if (gathers)
                    time.Advance(took);
                return next.IsCompleted;
            },
            TimeSpan.FromSeconds(60));
        Assert.IsType<AppendOutcome.Appended>(await next);

        async Task AppendElsewhereAsync() =>
            Assert.IsType<AppendOutcome.Appended>(await other.AppendAsync(Make.First($"other-{++others}")));
    }

    [Fact]
    public async Task A_database_that_does_not_know_the_role_gives_an_outcome_within_the_budget()
    {
        var journal = Open(o => (o.ConnectionString, o.CallTimeout, o.WriteBudget) =
            (o.ConnectionString.Replace("bank_app", "nobody", StringComparison.Ordinal), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1)));
        Assert.IsType<AppendOutcome.Unavailable>(await journal.AppendAsync(Make.First("account-1")));
        await Assert.ThrowsAsync<JournalUnavailableException>(() => journal.ReadHeadAsync(Cancellation));
    }
}
