using System.Collections.Concurrent;
using Bank.Testing;
using Npgsql;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Journal;

public sealed class LostReplyTests(PrivatePostgres postgres) : JournalTest(postgres)
{
    private static readonly Fault[] Cuts = [Fault.CutBefore, Fault.CutAfter, Fault.CutInReply];
    private static readonly Fault[] Silences = [Fault.Silent, Fault.SilentBefore];

    [Fact]
    public async Task After_replies_were_cut_or_swallowed_every_append_is_acknowledged_and_recorded_once()
    {
        var faults = new ConcurrentQueue<Fault>(
            Enumerable.Range(0, Scale.Of(100, full: 950)).Select(n => Cuts[n % Cuts.Length])
                .Concat(Enumerable.Range(0, Scale.Of(5, full: 50)).Select(n => Silences[n % Silences.Length])));
        var (proxies, journals) = (new List<TcpProxy>(), new List<PostgresJournal>());
        for (var i = 0; i < 4; i++)
        {
            var proxy = new TcpProxy(Database.App) { BytesBeforeCut = 3 + 20 * i };
            var calls = 0;
            proxy.OnRequest = request =>
                IsCall(request) && ++calls % 2 == 0 && faults.TryDequeue(out var fault) ? fault : Fault.None;
            proxies.Add(proxy);
            journals.Add(OpenThrough(proxy, o => o.CallTimeout = TimeSpan.FromSeconds(1)));
        }

        var load = Load.Start(journals, clients: 12);
        await Eventually.UntilAsync(
            "every reply that is to be lost is lost", () => Task.FromResult(faults.Count), left => left == 0, TimeSpan.FromMinutes(10));
        await load.AcknowledgedMoreAsync(12);
        await load.EndAsync(App, Cancellation);

        Assert.True(load.Heard("AlreadyAppended") > 0, "no reply was lost after its commit");
        Assert.True(Logged.Of("CallLost").Count() >= Scale.Of(105, full: 1_000));
        // A cancelled commit could be reported as a success that no standby has.
        Assert.All(proxies, proxy => Assert.Equal(0, proxy.CancelRequests));
        foreach (var proxy in proxies)
            await proxy.DisposeAsync();
    }

    [Theory]
    [InlineData(Fault.CutAfter, 1)]
    [InlineData(Fault.CutInReply, 1)]
    [InlineData(Fault.CutBefore, 0)]
    public async Task While_every_reply_is_lost_an_append_is_unknown_and_asked_again_it_is_there_once(Fault fault, int recorded)
    {
        await using var proxy = new TcpProxy(Database.App) { OnRequest = request => IsCall(request) ? fault : Fault.None };
        var journal = OpenThrough(proxy, o => (o.CallTimeout, o.WriteBudget) = (TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2)));
        var append = Make.Several("account-1", StreamState.Empty, 2);

        Assert.IsType<AppendOutcome.Unknown>(await journal.AppendAsync(append));
        Assert.IsType<AppendOutcome.Unknown>(append.Epoch.EndedBy);
        // What stands on it is certainly not written: it is never sent.
        Assert.IsType<AppendOutcome.Unavailable>(await journal.AppendAsync(append.Next()));
        await Eventually.UntilAsync(
            "the server has done what it was asked", CountEventsAsync, count => count == 2 * recorded);

        proxy.OnRequest = _ => Fault.None;
        var again = await journal.AppendAsync(append.Again());
        Assert.Equal(recorded == 1 ? "AlreadyAppended" : "Appended", again.GetType().Name);
        Assert.Equal(2, await CountEventsAsync());
    }

    [Theory]
    [InlineData(Fault.CutAfter, "AlreadyAppended", 3)]
    [InlineData(Fault.CutBefore, "Unavailable", 2)]
    public async Task What_was_lost_and_has_fallen_since_is_looked_for_and_never_lands_on_another_history(
        Fault fault, string outcome, int recorded)
    {
        await using var proxy = new TcpProxy(Database.App);
        var journal = OpenThrough(proxy);
        // Another activation has recorded a command of the same id as one that this append was decided on, after other events.
        var first = Make.First("account-1");
        var second = first.Next();
        var elsewhere = Open();
        Assert.IsType<AppendOutcome.Appended>(await elsewhere.AppendAsync(first));
        Assert.IsType<AppendOutcome.Appended>(await elsewhere.AppendAsync(second));
        var append = second.Next(epoch: new());
        proxy.OnRequest = request =>
        {
            if (!IsCall(request) || append.Epoch.EndedBy is not null)
                return Fault.None;
            append.Epoch.End(AppendOutcome.Unknown.Instance);
            return fault;
        };

        Assert.Equal(outcome, (await journal.AppendAsync(append)).GetType().Name);
        Assert.Equal(recorded, await CountEventsAsync());
    }

    [Fact]
    public async Task While_nothing_can_be_sent_an_append_is_unavailable_and_certainly_not_written()
    {
        await using var proxy = new TcpProxy(Database.App) { Refusing = true };
        var journal = OpenThrough(proxy, o => (o.CallTimeout, o.WriteBudget) = (TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2)));
        var append = Make.First("account-1");
        var felled = append.Next();

        var outcomes = new[] { journal.AppendAsync(append).AsTask(), journal.AppendAsync(felled).AsTask() };
        Assert.IsType<Answer.Unavailable>(await journal.AskAsync(new("account-1", null)));
        Assert.All(await Task.WhenAll(outcomes), outcome => Assert.IsType<AppendOutcome.Unavailable>(outcome));

        proxy.Refusing = false;
        Assert.IsType<AppendOutcome.Appended>(await journal.AppendAsync(append.Again()));
    }

    [Fact]
    public async Task A_lost_attempt_that_wakes_up_after_a_later_call_has_come_back_cannot_land()
    {
        await using var proxy = new TcpProxy(Database.App);
        var journal = OpenThrough(proxy, o => (o.CallTimeout, o.WriteBudget) = (TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2)));
        await journal.AppendAsync(Make.First("account-0"));
        var attempt = await ScalarAsync<long>("SELECT attempt FROM journal.writers");
        proxy.OnRequest = request => IsCall(request) ? Fault.SilentBefore : Fault.None;
        var lost = Make.First("account-1");
        Assert.IsType<AppendOutcome.Unknown>(await journal.AppendAsync(lost));

        proxy.OnRequest = _ => Fault.None;
        var answer = Assert.IsType<Answer.Confirmed>(await journal.AskAsync(new("account-1", lost.Events[0].EventId)));
        Assert.Equal(StreamState.Empty, answer.Last);

        // The very bytes that were under way, arriving now.
        var late = await Assert.ThrowsAsync<PostgresException>(async () =>
        {
            await using var command = App.CreateCommand(
                $$"""
                SELECT FROM journal.append('test/silo-1', {{attempt}}, '{1}', '{1}', '{account-1}', '{1}', '{NULL}',
                    '{ {{lost.Events[0].EventId}} }', '{MoneyDeposited}', '{1}', '{"{}"}', '{"{}"}', '{}', '{}')
                """);
            await command.ExecuteNonQueryAsync(Cancellation);
        });
        Assert.Equal("JA001", late.SqlState);
        Assert.Equal(1, await CountEventsAsync());
        Assert.True(await ScalarAsync<long>("SELECT attempt FROM journal.writers") > attempt);
    }

    [Fact]
    public async Task A_lost_attempt_that_still_waits_for_the_head_is_ended_and_its_append_is_recorded_once()
    {
        var journal = Open(o => (o.CallTimeout, o.WriteBudget) = (TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(60)));
        await using var head = await HoldHeadAsync();
        var append = journal.AppendAsync(Make.First("account-1")).AsTask();
        await Eventually.UntilAsync(
            "two calls were lost", () => Task.FromResult(Logged.Of("CallLost").Count()), lost => lost >= 2, TimeSpan.FromSeconds(60));
        // One that was left behind would wait in front of its successor for as long as the head is held.
        await WaitersAsync(1);
        await head.ReleaseAsync();

        Assert.True(await append is AppendOutcome.Appended or AppendOutcome.AlreadyAppended { Exact: true });
        Assert.Equal(1, await CountEventsAsync());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task A_server_that_falls_silent_while_a_connection_is_opened_is_left_for_a_new_one(int request)
    {
        await using var proxy = new TcpProxy(Database.App);
        var silent = 1;
        proxy.OnRequest = seen => seen.Number == request && silent-- > 0 ? Fault.SilentBefore : Fault.None;
        var journal = OpenThrough(proxy, o => o.CallTimeout = TimeSpan.FromSeconds(1));

        Assert.IsType<AppendOutcome.Appended>(await journal.AppendAsync(Make.First("account-1")));
        Assert.True(silent <= 0 && Logged.Of("ConnectFailed").Any());
    }

    // The writer's call is prepared, so its message begins with Bind; what opens a connection begins with Parse.
    private static bool IsCall(ProxiedRequest request) => request.Start.Span[0] == (byte)'B';
}
