using Bank.Testing;
using Npgsql;
using Xunit;
using Xunit.Sdk;

namespace Orleans.EventSourcing.Postgres.Tests.Journal;

public sealed class RecordTests(PrivatePostgres postgres) : JournalTest(postgres)
{
    [Theory]
    [InlineData("")]
    [InlineData("-c TimeZone=Asia/Kathmandu -c extra_float_digits=-15 -c bytea_output=escape -c DateStyle=German")]
    [InlineData("-c TimeZone=America/St_Johns -c extra_float_digits=3 -c standard_conforming_strings=off")]
    public async Task Roots_and_chain_are_what_separate_code_computes_whatever_a_sessions_settings(string settings)
    {
        var journal = Open(o =>
            o.ConnectionString = new NpgsqlConnectionStringBuilder(o.ConnectionString) { Options = settings }.ConnectionString);
        string[] data =
        [
            """{"amount": "1.00"}""", """{"z":1.10,"a":1e-7,"big":123456789012345678901234567890.000,"minus":-0.0}""",
            """{"text":"Zoë ✓ 🏦 \" \\ \u00e9","empty":{},"list":[1,2,{"deep":[null,true]}]}""", "null", "[]", "\"x\"", "0.1",
        ];
        var before = Make.First("account-1");
        await journal.AppendAsync(before);
        foreach (var batch in data.Chunk(3))
        {
            List<Task<AppendOutcome>> outcomes = [];
            foreach (var text in batch)
                outcomes.Add(journal.AppendAsync(before = before.Next(data: text)).AsTask());
            outcomes.Add(journal.AppendAsync(Make.Several($"transfer-{batch[0].Length}", StreamState.Empty, 3)).AsTask());
            Assert.All(await Task.WhenAll(outcomes), outcome => Assert.IsType<AppendOutcome.Appended>(outcome));
        }

        await Audit.VerifyAsync(App, Cancellation);
        Assert.Equal(data.Length + 1, (await journal.ReadStreamAsync("account-1", 1, 100, Cancellation)).Count);
        Assert.Equal(await CountEventsAsync(), await ScalarAsync<long>("SELECT position FROM journal.head"));
    }

    [Fact]
    public async Task Many_writers_at_once_leave_dense_positions_and_versions_without_gaps()
    {
        var journals = Enumerable.Range(0, 3).Select(_ => Open()).ToList();
        var streams = Enumerable.Range(0, 24).Select(async n =>
        {
            var append = Make.Several($"account-{n}", StreamState.Empty, 1 + n % 3);
            for (var i = 0; i < 20; i++)
            {
                Assert.IsType<AppendOutcome.Appended>(await journals[(n + i) % 3].AppendAsync(append));
                append = Make.Several(append.StreamId, append.After, 1 + i % 3);
            }
        });
        await Task.WhenAll(streams);

        await Audit.VerifyAsync(App, Cancellation);
        Assert.True(await ScalarAsync<long>("SELECT batch FROM journal.head") < 24 * 20, "no call has carried more than one append");
    }

    [Fact]
    public async Task Time_never_falls_even_where_the_clock_does()
    {
        var journal = Open();
        var first = Make.First("account-1");
        await journal.AppendAsync(first);
        // As if the clock had been an hour ahead when the last batch was written.
        await TamperAsync("UPDATE journal.head SET recorded_at = recorded_at + interval '1 hour'");

        var outcome = Assert.IsType<AppendOutcome.Appended>(await journal.AppendAsync(first.Next()));

        Assert.Equal(outcome.RecordedAt.UtcDateTime, await ScalarAsync<DateTime>("SELECT recorded_at FROM journal.head"));
        Assert.True(await ScalarAsync<bool>("SELECT recorded_at > clock_timestamp() FROM journal.events WHERE position = 2"));
        await Audit.VerifyAsync(App, Cancellation);
    }

    [Fact]
    public async Task The_audit_notices_each_change_of_what_is_recorded()
    {
        var journal = Open();
        var append = Make.First("account-1");
        for (var i = 0; i < 4; i++, append = append.Next())
            await journal.AppendAsync(append);
        await Audit.VerifyAsync(App, Cancellation);

        (string Change, string Back)[] tamperings =
        [
            ("UPDATE journal.events SET data = '{\"amount\": \"9.00\"}' WHERE position = 2",
                "UPDATE journal.events SET data = '{\"amount\": \"1.00\"}' WHERE position = 2"),
            ("UPDATE journal.events SET version = version + 10 WHERE position = 3",
                "UPDATE journal.events SET version = version - 10 WHERE position = 3"),
            ("UPDATE journal.events SET recorded_at = recorded_at - interval '1 microsecond' WHERE position = 3",
                "UPDATE journal.events SET recorded_at = recorded_at + interval '1 microsecond' WHERE position = 3"),
            ("UPDATE journal.batches SET recorded_at = recorded_at + interval '1 microsecond' WHERE batch = 2",
                "UPDATE journal.batches SET recorded_at = recorded_at - interval '1 microsecond' WHERE batch = 2"),
            ("UPDATE journal.batches SET chain = sha256(chain) WHERE batch = 4", ""),
        ];
        foreach (var (change, back) in tamperings)
        {
            await TamperAsync(change);
            await Assert.ThrowsAnyAsync<XunitException>(() => Audit.VerifyAsync(App, Cancellation));
            if (back == "")
                continue;
            await TamperAsync(back);
            await Audit.VerifyAsync(App, Cancellation);
        }
    }

    [Fact]
    public async Task A_head_that_lies_behind_the_events_stops_the_journal_and_nothing_is_said_to_be_appended()
    {
        var journal = Open(o => (o.CallTimeout, o.WriteBudget) = (TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2)));
        var first = Make.First("account-1");
        await journal.AppendAsync(first);
        await TamperAsync("UPDATE journal.head SET position = 0");

        Assert.IsType<AppendOutcome.Unavailable>(await journal.AppendAsync(Make.First("account-2")));
        Assert.Equal(1, await CountEventsAsync());
        Assert.NotEmpty(Logged.Of("CallRefused"));
    }
}
