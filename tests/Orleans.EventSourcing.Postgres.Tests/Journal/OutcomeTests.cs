using Bank.Testing;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Journal;

public sealed class OutcomeTests(PrivatePostgres postgres) : JournalTest(postgres)
{
    [Fact]
    public async Task An_append_to_a_new_stream_is_durable_and_reads_back()
    {
        var journal = Open();
        var append = Make.First("account-1");

        var outcome = Assert.IsType<AppendOutcome.Appended>(await journal.AppendAsync(append));

        Assert.Equal(append.After, outcome.Last);
        Assert.Equal(new Position(1), outcome.LastPosition);
        var recorded = Assert.Single(await journal.ReadStreamAsync("account-1", 1, 10, Cancellation));
        Assert.Equal((outcome.LastPosition, append.Events[0].EventId, "account-1", 1L, "MoneyDeposited", outcome.RecordedAt),
            (recorded.Position, recorded.EventId, recorded.StreamId, recorded.Version, recorded.EventType, recorded.RecordedAt));
        Assert.Equal("""{"amount": "1.00"}""", System.Text.Encoding.UTF8.GetString(recorded.Data.Span));
        Assert.Equal(recorded, (await journal.ReadEventAsync(recorded.EventId, Cancellation))! with
        {
            Data = recorded.Data,
            Metadata = recorded.Metadata,
        });
        Assert.Null(append.Epoch.EndedBy);
    }
}
