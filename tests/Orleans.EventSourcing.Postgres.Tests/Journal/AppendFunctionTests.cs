using Bank.Testing;
using Npgsql;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Journal;

/// <summary>
/// <c>journal.append</c> as <c>bank_app</c> can call it, past the writer: whatever it is given, it appends whole commands or nothing.
/// </summary>
public sealed class AppendFunctionTests(PrivatePostgres postgres) : JournalTest(postgres)
{
    private const string A = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", B = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb";

    // An append of two events to a new stream, and one of one event to another.
    private static readonly Arguments Good = new();

    [Fact]
    public async Task What_the_cases_below_are_variations_of_is_appended()
    {
        Assert.Equal("0 1 3", await CallAsync(Good));
        Assert.Equal(3, await CountEventsAsync());
        await Audit.VerifyAsync(App, Cancellation);
    }

    [Fact]
    public async Task Arguments_that_make_no_sense_are_refused_before_anything_is_written()
    {
        (string What, Arguments Arguments)[] cases =
        [
            ("no silo", Good with { Silo = "NULL" }),
            ("no attempt", Good with { Attempt = "NULL" }),
            ("attempt 0", Good with { Attempt = "0" }),
            .. Good.Ragged(),
            .. Good.Missing(),
            .. Good.HoldingNull(),
            .. Good.TwoDimensional(),
            .. Good.FromZero(),
            ("counts that are too few", Good with { Counts = "'{1,1}'" }),
            ("counts that are too many", Good with { Counts = "'{2,2}'" }),
            ("a count of 0", Good with { Counts = "'{3,0}'" }),
            ("a negative count", Good with { Counts = "'{4,-1}'" }),
            ("an append without events", Arguments.Empty with { Counts = "'{0}'", Epochs = "'{1}'" }),
            ("an append in two streams", Good with { StreamIds = "'{account-1,account-2,account-2}'" }),
            ("an append that skips a version", Good with { Versions = "'{1,3,1}'" }),
            ("an append that repeats a version", Good with { Versions = "'{1,1,1}'" }),
            ("an append that goes backwards", Good with { Versions = "'{2,1,1}'" }),
            ("an append whose events do not name each other", Good with { PreviousIds = $"'{{NULL,{B},NULL}}'" }),
            ("an append with an id twice", Good with { EventIds = $"'{{{A},{A},{B}}}'", PreviousIds = $"'{{NULL,{A},NULL}}'" }),
        ];

        var before = await RecordAsync();
        foreach (var (what, arguments) in cases)
        {
            Assert.Equal((what, "JI001"), (what, await CallAsync(arguments)));
            Assert.Equal((what, before, 0L), (what, await RecordAsync(), await ScalarAsync<long>("SELECT count(*) FROM journal.writers")));
        }

        Assert.True(cases.Length > 50);
    }

    [Fact]
    public async Task Values_that_a_column_refuses_write_nothing_not_even_their_neighbours()
    {
        (string What, Arguments Arguments, string SqlState)[] cases =
        [
            ("version 0", Good with { Versions = "'{1,2,0}'" }, PostgresErrorCodes.CheckViolation),
            ("a negative version", Good with { Versions = "'{1,2,-1}'" }, PostgresErrorCodes.CheckViolation),
            ("a version beyond bigint", Good with { Versions = "'{1,2,9223372036854775808}'" }, PostgresErrorCodes.NumericValueOutOfRange),
            ("an empty stream", Good with { StreamIds = "'{account-1,account-1,\"\"}'" }, PostgresErrorCodes.CheckViolation),
            ("a stream of 201 characters", Good with { StreamIds = $"'{{account-1,account-1,{new string('s', 201)}}}'" },
                PostgresErrorCodes.CheckViolation),
            ("an empty type", Good with { EventTypes = "'{Opened,Paid,\"\"}'" }, PostgresErrorCodes.CheckViolation),
            ("a type of 101 characters", Good with { EventTypes = $"'{{Opened,Paid,{new string('t', 101)}}}'" },
                PostgresErrorCodes.CheckViolation),
            ("schema version 0", Good with { SchemaVersions = "'{1,1,0}'" }, PostgresErrorCodes.CheckViolation),
            ("metadata that is no object", Good with { Metadata = "ARRAY['{}','{}','[]']::jsonb[]" }, PostgresErrorCodes.CheckViolation),
            ("data that is no JSON", Good with { Data = "ARRAY['{}','{}','{']::jsonb[]" }, PostgresErrorCodes.InvalidTextRepresentation),
            ("a silo without a name", Good with { Silo = "''" }, PostgresErrorCodes.CheckViolation),
        ];

        var before = await RecordAsync();
        foreach (var (what, arguments, sqlState) in cases)
        {
            Assert.Equal((what, sqlState), (what, await CallAsync(arguments)));
            Assert.Equal((what, before), (what, await RecordAsync()));
        }
    }

    [Fact]
    public async Task An_append_on_another_state_than_the_last_is_answered_with_a_row_and_writes_nothing()
    {
        Assert.Equal("0 1 3", await CallAsync(Good));
        var more = Arguments.Empty with
        {
            Counts = "'{1}'", Epochs = "'{1}'", StreamIds = "'{account-1}'", Versions = "'{3}'", PreviousIds = $"'{{{B}}}'",
            EventIds = $"'{{{Guid.NewGuid()}}}'", EventTypes = "'{Paid}'", SchemaVersions = "'{1}'", Data = "ARRAY['{}']::jsonb[]",
            Metadata = "ARRAY['{}']::jsonb[]",
        };
        (string What, Arguments Arguments, string Reply)[] cases =
        [
            ("an old version", more with { Versions = "'{2}'", PreviousIds = $"'{{{A}}}'" }, "1 conflict 2"),
            ("a version beyond the end", more with { Versions = "'{4}'" }, "1 conflict 2"),
            ("another event at that version", more with { PreviousIds = $"'{{{A}}}'" }, "1 conflict 2"),
            ("no event at that version", more with { PreviousIds = "'{NULL}'" }, "1 conflict 2"),
            ("a first event after another", more with { StreamIds = "'{account-3}'", Versions = "'{1}'" }, "1 conflict 0"),
            ("an unknown stream", more with { StreamIds = "'{account-3}'" }, "1 conflict 0"),
            ("a repeated id", more with { EventIds = $"'{{{B}}}'" }, "1 reused"),
        ];

        var before = await RecordAsync();
        foreach (var (what, arguments, reply) in cases)
        {
            Assert.Equal((what, reply), (what, await CallAsync(arguments)));
            Assert.Equal((what, before), (what, await RecordAsync()));
        }

        Assert.Equal("0 4 4", await CallAsync(more));
        await Audit.VerifyAsync(App, Cancellation);
    }

    [Fact]
    public async Task An_earlier_attempt_is_refused_once_a_later_one_has_begun_whatever_it_carries()
    {
        Assert.Equal("0 1 0", await CallAsync(Arguments.Empty with { Attempt = "2" }));

        Assert.Equal("JA001", await CallAsync(Good with { Attempt = "1" }));
        Assert.Equal("JA001", await CallAsync(Arguments.Empty with { Attempt = "1" }));
        Assert.Equal(0, await CountEventsAsync());
        Assert.Equal("0 1 3", await CallAsync(Good with { Attempt = "2" }));
    }

    [Fact]
    public async Task A_fenced_silo_is_refused_whatever_it_carries_and_others_are_not()
    {
        Assert.Equal(["test/raw"], await FenceAsync("'{test/raw}'"));
        // A second fence changes nothing, not even the time; only silos with names can be fenced.
        Assert.Equal(["test/other"], await FenceAsync("'{test/raw,test/other,test/other}'"));
        await Assert.ThrowsAsync<PostgresException>(() => FenceAsync("'{NULL}'"));
        await Assert.ThrowsAsync<PostgresException>(() => FenceAsync("NULL"));

        Assert.Equal("JF001", await CallAsync(Good));
        Assert.Equal("JF001", await CallAsync(Arguments.Empty with { Attempt = "9" }));
        Assert.Equal(0, await CountEventsAsync());
        Assert.Equal("0 1 3", await CallAsync(Good with { Silo = "'test/third'" }));
    }

    private async Task<string[]> FenceAsync(string silos)
    {
        await using var command = App.CreateCommand($"SELECT journal.fence({silos})");
        await using var reader = await command.ExecuteReaderAsync(Cancellation);
        var fenced = new List<string>();
        while (await reader.ReadAsync(Cancellation))
            fenced.Add(reader.GetString(0));
        return [.. fenced];
    }

    // The SQLSTATE of a refusal; else the first exception, "1 outcome version", or where there is none the bounds, "0 first last".
    private async Task<string> CallAsync(Arguments arguments)
    {
        await using var command = App.CreateCommand(
            $"""
            SELECT concat_ws(' ', kind, outcome, version, CASE WHEN kind = 0 THEN position END)
            FROM journal.append({arguments}) WHERE kind <= 1 ORDER BY kind DESC LIMIT 1
            """);
        try
        {
            return (string)(await command.ExecuteScalarAsync(Cancellation))!;
        }
        catch (PostgresException e)
        {
            return e.SqlState;
        }
    }

    /// <summary>The arguments of a call as SQL.</summary>
    private sealed record Arguments
    {
        public string Silo { get; init; } = "'test/raw'";

        public string Attempt { get; init; } = "1";

        public string Counts { get; init; } = "'{2,1}'";

        public string Epochs { get; init; } = "'{1,2}'";

        public string StreamIds { get; init; } = "'{account-1,account-1,account-2}'";

        public string Versions { get; init; } = "'{1,2,1}'";

        public string PreviousIds { get; init; } = $"'{{NULL,{A},NULL}}'";

        public string EventIds { get; init; } = $"'{{{A},{B},cccccccc-cccc-4ccc-8ccc-cccccccccccc}}'";

        public string EventTypes { get; init; } = "'{Opened,Paid,Opened}'";

        public string SchemaVersions { get; init; } = "'{1,1,1}'";

        public string Data { get; init; } = "ARRAY['{}','{}','{}']::jsonb[]";

        public string Metadata { get; init; } =
            $$"""ARRAY['{"n":1,"of":2}','{"n":2,"of":2,"command":"{{A}}"}','{}']::jsonb[]""";

        public string QuestionStreams { get; init; } = "'{}'";

        public string QuestionCommands { get; init; } = "'{}'";

        public static Arguments Empty => new()
        {
            Counts = "'{}'", Epochs = "'{}'", StreamIds = "'{}'", Versions = "'{}'", PreviousIds = "'{}'", EventIds = "'{}'",
            EventTypes = "'{}'", SchemaVersions = "'{}'", Data = "'{}'", Metadata = "'{}'",
        };

        /// <summary>One array is longer than the others.</summary>
        public IEnumerable<(string, Arguments)> Ragged() =>
            EachArray("longer", (type, array) => $"({array}::{type}[] || ({array}::{type}[])[1:1])")
                .Concat(EachArray("empty", (type, _) => $"'{{}}'::{type}[]"));

        public IEnumerable<(string, Arguments)> Missing() => EachArray("NULL", (_, _) => "NULL")
            .Concat(EachQuestionArray("NULL", "NULL"));

        /// <summary>Previous ids may be NULL; there, a NULL in the middle of an append is one that does not follow.</summary>
        public IEnumerable<(string, Arguments)> HoldingNull() =>
            EachArray("holding a NULL", (type, array) => $"(({array}::{type}[])[1:1] || NULL::{type} || ({array}::{type}[])[3:])")
                .Append(("question_streams holding a NULL", this with { QuestionStreams = "'{NULL}'", QuestionCommands = "'{NULL}'" }));

        public IEnumerable<(string, Arguments)> TwoDimensional() =>
            EachArray("of two dimensions", (type, array) => $"ARRAY[{array}::{type}[]]")
                .Append(("questions of two dimensions", this with { QuestionStreams = "'{{a}}'", QuestionCommands = "'{NULL}'" }));

        /// <summary>Counted from 0 instead of 1.</summary>
        public IEnumerable<(string, Arguments)> FromZero() => EachArray("counted from 0", (type, array) =>
            $"(SELECT format('[0:%s]=%s', cardinality(a) - 1, a)::{type}[] FROM (SELECT {array}::{type}[]) x (a))");

        public override string ToString() => string.Join(
            ", ", Silo, Attempt, Counts, Epochs, StreamIds, Versions, PreviousIds, EventIds, EventTypes, SchemaVersions, Data, Metadata,
            QuestionStreams, QuestionCommands);

        private IEnumerable<(string, Arguments)> EachQuestionArray(string what, string value) =>
        [
            ($"question_streams {what}", this with { QuestionStreams = value }),
            ($"question_commands {what}", this with { QuestionCommands = value }),
        ];

        private IEnumerable<(string, Arguments)> EachArray(string what, Func<string, string, string> change) =>
        [
            ($"counts {what}", this with { Counts = change("integer", Counts) }),
            ($"epochs {what}", this with { Epochs = change("integer", Epochs) }),
            ($"stream_ids {what}", this with { StreamIds = change("text", StreamIds) }),
            ($"versions {what}", this with { Versions = change("bigint", Versions) }),
            ($"previous_ids {what}", this with { PreviousIds = change("uuid", PreviousIds) }),
            ($"event_ids {what}", this with { EventIds = change("uuid", EventIds) }),
            ($"event_types {what}", this with { EventTypes = change("text", EventTypes) }),
            ($"schema_versions {what}", this with { SchemaVersions = change("smallint", SchemaVersions) }),
            ($"data {what}", this with { Data = change("jsonb", Data) }),
            ($"metadata {what}", this with { Metadata = change("jsonb", Metadata) }),
        ];
    }
}
