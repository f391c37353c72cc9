using Bank.Testing;
using Xunit;

namespace Bank.ReadModel.Tests;

/// <summary>What projections write is planned while there is next to nothing, and not again until the tables are analysed.</summary>
public sealed class WritePlanTests(PrivatePostgres postgres) : ReadModelTest(postgres)
{
    [Fact]
    public async Task A_batch_looks_up_what_it_needs_of_the_journal_however_little_there_was_when_it_was_planned()
    {
        await using (var command = Owner.CreateCommand("ALTER TABLE journal.events SET (autovacuum_enabled = off)"))
            await command.ExecuteNonQueryAsync(Cancellation);
        var writer = Writer(seed: 1, accounts: 200);
        // So that every connection keeps its first plan, as it does under load.
        var runtime = Runtime(connectionString: Database.App + ";Options=-c plan_cache_mode=force_generic_plan");
        await using (var partitions = await OpenAsync(runtime))
        {
            for (var acts = 1; acts <= 600; acts++)
            {
                await writer.ActAsync();
                if (acts % 5 == 0)
                    await CaughtUpAsync(partitions);
            }
        }

        // A backend counts what it has read when it ends, at the latest.
        await runtime.DisposeAsync();
        await Eventually.UntilAsync(
            "the connections of the projections have ended",
            () => ScalarAsync<long>(
                """
                SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'projections'
                """),
            open => open == 0,
            Patience);
        var entries = await ScalarAsync<decimal>(
            "SELECT idx_tup_read / idx_scan::numeric FROM pg_stat_user_indexes WHERE indexrelname = 'events_stream_version'");
        Assert.True(entries < 2, $"{entries:0.0} entries of the index were read at a time: it was read from end to end");
    }
}
