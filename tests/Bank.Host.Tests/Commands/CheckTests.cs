using System.Diagnostics;
using System.Globalization;
using Bank.Host.Commands;
using Bank.Testing;
using Xunit;

namespace Bank.Host.Tests.Commands;

public sealed class CheckTests(MadeRecord made) : IClassFixture<MadeRecord>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    // Of the event that stands at position :p before the forger comes: the rules that it breaks, in order, each with where it is named.
    public static TheoryData<string, string, string, string[]> Forgeries => new()
    {
        {
            "A credit that is lost, with everything after it closed over",
            "TransferReceived",
            $"""
            DELETE FROM journal.events WHERE position = :p;
            {Rebook("-:amount", "- 1")}
            {Shift(-1)}
            """,
            // The completion of its transfer, which is the next of it, now follows the sending.
            ["steps at completion - 1"]
        },
        {
            "A credit that is booked twice, with everything after it moved on",
            "TransferReceived",
            $"""
            {Shift(1)}
            {Rebook(":amount", "+ 1")}
            INSERT INTO journal.events
            SELECT position + 1, gen_random_uuid(), stream_id, version + 1, event_type, schema_version, slot,
                   data || jsonb_build_object('balance_after', ((data ->> 'balance_after')::numeric + :amount)::text), metadata, recorded_at
            FROM journal.events WHERE position = :p;
            """,
            ["conservation at p + 1", "steps at p + 1"]
        },
        {
            "A credit of more than was sent, with everything after it rebooked",
            "TransferReceived",
            $$"""
            {{Rebook("1", "+ 0")}}
            UPDATE journal.events SET data = data || jsonb_build_object('amount', (:amount + 1)::text,
                'balance_after', ((data ->> 'balance_after')::numeric + 1)::text) WHERE position = :p;
            """,
            ["amounts at p", "conservation at p"]
        },
        {
            "A balance that is not what moved",
            "MoneyDeposited",
            """
            UPDATE journal.events SET data = jsonb_set(data, '{balance_after}', '"123456.78"') WHERE position = :p
            """,
            ["balances at p", "conservation at p"]
        },
        {
            "An account below zero, with everything after it rebooked",
            "MoneyWithdrawn",
            $"""
            {Rebook("-5000", "+ 0")}
            UPDATE journal.events SET data = data || jsonb_build_object('amount', (:amount + 5000)::text,
                'balance_after', ((data ->> 'balance_after')::numeric - 5000)::text) WHERE position = :p;
            """,
            ["below_zero at p"]
        },
        { "A gap in the positions", "MoneyDeposited", Shift(1), ["positions at p + 1"] },
        { "Events that are cut off", "TransferCompleted", "DELETE FROM journal.events WHERE position > :p", [
            "batches at p + 1", "positions at p + 1"] },
        {
            "A version that is left out",
            "TransferSent",
            "UPDATE journal.events SET version = version + 1 WHERE stream_id = :stream AND version >= :version",
            ["versions at p"]
        },
        {
            "A completion before the credit",
            "TransferReceived",
            """
            UPDATE journal.events SET position = :p + :completion - position WHERE position IN (:p, :completion)
            """,
            // Among the other things that are out of order now: the versions of the destination, and so on.
            ["steps at p"]
        },
        {
            "A completion without anything before it",
            "TransferCompleted",
            "UPDATE journal.events SET stream_id = 'transfer-' || gen_random_uuid(), version = 1 WHERE position = :p",
            ["steps at p"]
        },
        {
            "A return that nobody decided",
            "ReturnDecided",
            """
            UPDATE journal.events SET event_type = 'TransferRejected' WHERE position = :p
            """,
            ["steps at p"]
        },
        {
            "Time that falls",
            "TransferSent",
            "UPDATE journal.events SET recorded_at = recorded_at - interval '1 day' WHERE position = :p",
            ["time at p"]
        },
        {
            "A batch that is missing",
            "TransferSent",
            "DELETE FROM journal.batches WHERE :p BETWEEN first_position AND last_position",
            ["batches at batch"]
        },
        {
            "An event that no account has",
            "MoneyDeposited",
            "UPDATE journal.events SET event_type = 'MoneyMade' WHERE position = :p",
            ["kinds at p"]
        },
        {
            "An amount that is no number",
            "MoneyDeposited",
            """
            UPDATE journal.events SET data = data || '{"amount": "5-", "balance_after": "-"}' WHERE position = :p
            """,
            ["kinds at p"]
        },
        {
            "An account that is opened twice",
            "MoneyDeposited",
            """
            UPDATE journal.events SET event_type = 'AccountOpened',
                data = data || jsonb_build_object('initial_deposit', :amount::text) WHERE position = :p
            """,
            ["opening at p"]
        },
    };

    [Fact]
    public async Task A_record_in_order_has_no_violation_and_adds_up_in_each_currency()
    {
        var report = await Check.ReadAsync(made.Original.App, Cancellation);
        Assert.Empty(report.Violations);
        Assert.Equal(["EUR", "USD"], report.Currencies.Select(c => c.Currency));
        Assert.All(report.Currencies, c =>
        {
            Assert.True(Number(c.InFlight) > 0, "the record ends with money in flight");
            Assert.Equal(Number(c.PaidIn), Number(c.Held) + Number(c.InFlight));
        });
    }

    [Theory]
    [MemberData(nameof(Forgeries))]
    public async Task What_the_owner_of_the_database_forges_is_named_at_its_position(
        string what, string eventType, string forgery, string[] named)
    {
        var copy = await made.CopyAsync();
        var (p, facts) = await FindAsync(copy, eventType);
        await MadeRecord.ExecuteAsync(copy, facts.Aggregate(forgery, (sql, fact) =>
            sql.Replace(':' + fact.Key, fact.Value, StringComparison.Ordinal)).Replace(":p", $"{p}", StringComparison.Ordinal));

        var report = await Check.ReadAsync(copy.App, Cancellation);
        var completion = long.Parse(facts["completion"], CultureInfo.InvariantCulture);
        var first = report.Violations
            .TakeWhile(v => v.Position == report.Violations[0].Position)
            .Select(v => $"{v.Rule} at {v.Position}");
        Assert.True(
            named.Select(Placed).SequenceEqual(first), $"{what}: {string.Join(", ", named.Select(Placed))} expected, {report} found");

        string Placed(string rule) => rule
            .Replace("at completion - 1", $"at {completion - 1}", StringComparison.Ordinal)
            .Replace("at batch", $"at {facts["batch"]}", StringComparison.Ordinal)
            .Replace("at p + 1", $"at {p + 1}", StringComparison.Ordinal)
            .Replace("at p", $"at {p}", StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_command_says_where_and_ends_with_a_code_of_its_own()
    {
        var copy = await made.CopyAsync();
        var environment = new Dictionary<string, string?> { ["ConnectionStrings__Bank"] = copy.App };
        var sound = await BankProcess.RunAsync(["check"], environment);
        Assert.Equal(0, sound.ExitCode);
        Assert.Contains("in order", sound.Output, StringComparison.Ordinal);

        await MadeRecord.ExecuteAsync(copy, "UPDATE journal.events SET version = version + 1 WHERE position = 30");
        var damaged = await BankProcess.RunAsync(["check", "--json"], environment);
        Assert.Equal((int)ExitCode.RecordDamaged, damaged.ExitCode);
        Assert.Contains("\"position\": 30", damaged.Output, StringComparison.Ordinal);
        OpenBankTests.AssertPlain(damaged.Output);
    }

    [Fact]
    public async Task A_large_record_is_checked_in_little_time()
    {
        // On demand, with BANK_CHECK_ACTS=265000: a million events, of which 20 s are the target on a quiet machine.
        var acts = int.Parse(Environment.GetEnvironmentVariable("BANK_CHECK_ACTS") ?? "5000", CultureInfo.InvariantCulture);
        var database = await made.MakeAsync(acts, accounts: 10_000);
        var clock = Stopwatch.StartNew();
        var report = await Check.ReadAsync(database.App, Cancellation);
        TestContext.Current.TestOutputHelper!.WriteLine($"{report.Position} events checked in {clock.Elapsed.TotalSeconds:0.0} s");
        Assert.Empty(report.Violations);
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(60));
    }

    // Moves what lies behind :p, as the record is kept.
    private static string Shift(int by) =>
        $"""
        UPDATE journal.events SET position = position + {by} WHERE position > :p;
        UPDATE journal.batches SET first_position = first_position + {by} WHERE first_position > :p;
        UPDATE journal.batches SET last_position = last_position + {by} WHERE last_position > :p;
        UPDATE journal.head SET position = position + {by};
        """;

    // Changes balances and versions of the account behind its event at :p.
    private static string Rebook(string change, string version) =>
        $$"""
        UPDATE journal.events SET version = version {{version}}, data = CASE WHEN data ? 'balance_after' THEN
            data || jsonb_build_object('balance_after', ((data ->> 'balance_after')::numeric + {{change}})::text) ELSE data END
        WHERE stream_id = :stream AND version > :version;
        """;

    // An event of the type, far enough from both ends, and what forgers need to know of it.
    private static async Task<(long Position, Dictionary<string, string> Facts)> FindAsync(TestDatabase database, string eventType)
    {
        var found = (string)(await MadeRecord.ExecuteAsync(
            database,
            $"""
            SELECT e.position || ' ' || quote_literal(e.stream_id) || ' ' || e.version || ' ' || coalesce(e.data ->> 'amount', '0') || ' '
                || coalesce((SELECT c.position FROM journal.events c
                    WHERE c.stream_id = 'transfer-' || (e.data ->> 'transfer_id') AND c.event_type = 'TransferCompleted'), 0) || ' '
                || (SELECT b.first_position FROM journal.batches b WHERE e.position BETWEEN b.first_position AND b.last_position)
            FROM journal.events e WHERE e.event_type = '{eventType}' ORDER BY e.position OFFSET 20 LIMIT 1
            """))!;
        var fields = found.Split(' ');
        return (long.Parse(fields[0], CultureInfo.InvariantCulture), new()
        {
            ["stream"] = fields[1],
            ["version"] = fields[2],
            ["amount"] = fields[3],
            ["completion"] = fields[4],
            ["batch"] = fields[5],
        });
    }

    private static decimal Number(string? text) => decimal.Parse(text!, CultureInfo.InvariantCulture);
}
