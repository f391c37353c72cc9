using Bank.Domain;
using Bank.ReadModel.Accounts;
using Bank.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Orleans.EventSourcing.Postgres;
using Xunit;

namespace Bank.ReadModel.Tests;

/// <summary>The projections of the product's silos, fed by its streams.</summary>
public sealed class ClusterTests(PrivatePostgres postgres) : SiloTest(postgres)
{
    [Fact]
    public async Task Read_models_follow_the_journal_are_rebuilt_on_demand_and_outlive_a_silo()
    {
        using var first = await StartAsync();
        using var second = await StartAsync();
        var opened = await Task.WhenAll(Enumerable.Range(0, 40).Select(n => OpenAccountAsync(n % 2 == 0 ? first : second)));
        var accounts = second.Services.GetRequiredService<AccountQuery>();
        foreach (var (id, position) in opened)
        {
            var read = await accounts.FindAsync(id, position, Cancellation);
            Assert.Equal(1_000, read.Value?.Balance.MinorUnits);
        }

        var rebuild = second.Services.GetRequiredService<IGrainFactory>().GetGrain<IProjectionOperatorGrain>("accounts");
        Assert.Equal(OperatorOutcome.Done, await rebuild.RebuildAsync(new("an operator", "a test")));
        Assert.Equal(
            OperatorOutcome.NothingToActOn,
            await second.Services.GetRequiredService<IGrainFactory>().GetGrain<IProjectionOperatorGrain>("no such")
                .PauseAsync(new("an operator")));
        await Eventually.UntilAsync(
            "the new tables serve",
            async () => (await second.Services.GetRequiredService<ProjectionStatusReader>().ReadAsync(Cancellation))
                .Single(p => p.Name == "accounts"),
            status => status is { Generation: 2, State: "running" },
            Patience);

        // It leaves without handing anything over.
        await first.StopAsync(new CancellationToken(canceled: true));
        await Eventually.UntilAsync(
            "an account that is opened is read, whichever partition it lies in",
            async () =>
            {
                var more = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => OpenAccountAsync(second)));
                var read = await Task.WhenAll(more.Select(m => accounts.FindAsync(m.Id, m.Position, Cancellation)));
                return (read.All(r => r.Value is not null), read.Length);
            },
            Patience);
        await second.StopAsync(Cancellation);
        Assert.Equal(
            (await JournalFold.OfJournalAsync(App))["accounts"].Order(StringComparer.Ordinal),
            (await JournalFold.OfTablesAsync(App))["accounts"]);
    }

    [Fact]
    public async Task An_event_that_cannot_be_read_parks_its_partition_and_degrades_the_bank_until_an_operator_skips_it()
    {
        using var silo = await StartAsync();
        var id = new AccountId(Guid.NewGuid());
        await using var append = Owner.CreateCommand(
            $$"""
            SELECT position FROM journal.append('the owner', 1, '{1}', '{1}', '{{{id.StreamId}}}', '{1}', '{NULL}',
                ARRAY[gen_random_uuid()], '{MoneyDeposited}', '{1}', ARRAY['{"nonsense": true}'::jsonb], ARRAY['{}'::jsonb], '{}', '{}')
            """);
        var position = new Position((long)(await append.ExecuteScalarAsync(Cancellation))!);
        var partition = Partition.Of(StreamSlot.Of(id.StreamId), PartitionCount).Number;
        var health = silo.Services.GetRequiredService<HealthCheckService>();
        async Task<HealthReportEntry> CheckAsync() =>
            (await health.CheckHealthAsync(check => check.Name == "projections", Cancellation)).Entries["projections"];
        await Eventually.UntilAsync(
            "three of four read models have parked",
            CheckAsync,
            entry => entry.Status == HealthStatus.Degraded
                && entry.Description == "partitions of accounts, daily_totals, transactions have parked",
            Patience);

        // Nobody else is held up, and the accounts of other partitions neither.
        var accounts = silo.Services.GetRequiredService<AccountQuery>();
        for (var others = 0; others < 5;)
        {
            var opened = await OpenAccountAsync(silo);
            if (Partition.Of(StreamSlot.Of(opened.Id.StreamId), PartitionCount).Number == partition)
                continue;
            Assert.NotNull((await accounts.FindAsync(opened.Id, opened.Position, Cancellation)).Value);
            others++;
        }

        await Assert.ThrowsAsync<ReadModelBehindException>(() => accounts.FindAsync(id, position, Cancellation));
        foreach (var name in (string[])["accounts", "daily_totals", "transactions"])
            Assert.Equal(
                OperatorOutcome.Done,
                await silo.Services.GetRequiredService<IGrainFactory>().GetGrain<IProjectionOperatorGrain>(name)
                    .SkipAsync(partition, position, new("an operator")));
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync()).Status);
        Assert.Null((await accounts.FindAsync(id, position, Cancellation)).Value);
        await silo.StopAsync(Cancellation);
    }
}
