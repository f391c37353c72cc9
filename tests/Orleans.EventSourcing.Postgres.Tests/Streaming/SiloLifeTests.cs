using Bank.Testing;
using Orleans.EventSourcing.Postgres.Tests.Journal;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Streaming;

public sealed class SiloLifeTests(PrivatePostgres postgres) : JournalTest(postgres)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    [Fact]
    public async Task The_queues_of_a_killed_silo_are_taken_over()
    {
        var journal = Open();
        await using var first = await StreamSilo.StartAsync(Database.App, Cancellation);
        await using var second = await StreamSilo.StartAsync(Database.App, Cancellation);
        var follower = second.Grains.GetGrain<IFollower>("survivor");
        await follower.SubscribeAsync(JournalStreams.After(default));
        await AppendAsync(100);
        await ReachedAsync(100);

        await first.DropAsync();
        await AppendAsync(100);

        var partitions = await ReachedAsync(200);
        // Grains that lived on the killed silo begin anew; what they have heard since is without a gap all the same.
        Assert.All(partitions, heard => Assert.All(heard.Zip(heard.Skip(1)), p => Assert.Equal(p.First.To, p.Second.From)));
        Assert.Equal(Enumerable.Range(1, 200).Select(n => (long)n), await follower.HeardAsync());

        async Task AppendAsync(int count) => await Task.WhenAll(Enumerable.Range(0, count).Select(_ =>
            journal.AppendAsync(Make.First($"account-{Guid.NewGuid()}")).AsTask()));

        async Task<List<JournalInterval>[]> ReachedAsync(long position)
        {
            await Eventually.UntilAsync(
                $"the survivor has heard the event at {position}",
                async () =>
                {
                    var heard = await follower.HeardAsync();
                    return (heard.Contains(position), $"{heard.Count} events, the last at {heard.LastOrDefault()}");
                },
                Patience);
            return await Task.WhenAll(Enumerable.Range(0, 4).Select(number => Eventually.UntilAsync(
                $"partition {number} has reached {position}",
                second.Grains.GetGrain<IPartitionFollower>(number).HeardAsync,
                heard => heard.Count > 0 && heard[^1].To.Value >= position,
                Patience)));
        }
    }

    [Fact]
    public async Task An_idle_silo_asks_the_database_less_than_once_a_second()
    {
        const int Seconds = 4;
        await using var network = new TcpProxy(Database.App);
        await using var silo = await StreamSilo.StartAsync(Database.App, Cancellation, journal: network.Through(Database.App));
        await Eventually.UntilAsync(
            "a partition has been told where it stands",
            async () => (await silo.Grains.GetGrain<IPartitionFollower>(0).HeardAsync()).Count > 0 && network.Requests > 0
                ? (true, null)
                : (false, (object?)network.Requests),
            Patience);

        // This measures a rate; a busy machine only makes it lower.
        var before = network.Requests;
        await Task.Delay(TimeSpan.FromSeconds(Seconds), Cancellation);

        Assert.InRange(network.Requests - before, 1, Seconds);
    }
}
