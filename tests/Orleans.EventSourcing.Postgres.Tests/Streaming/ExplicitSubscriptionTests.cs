using System.Collections.Concurrent;
using Bank.Testing;
using Orleans.Streams;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Streaming;

public sealed class ExplicitSubscriptionTests(OneSilo cluster) : IClassFixture<OneSilo>
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData(0)]
    [InlineData(0.5)]
    [InlineData(1)]
    public async Task A_grain_begins_anywhere_and_hears_every_event_once_and_in_order(double where)
    {
        var end = await cluster.AppendAsync(500);
        var after = (long)(end * where);
        var follower = cluster.Silo.Grains.GetGrain<IFollower>(Guid.NewGuid().ToString());

        var writing = cluster.AppendAsync(300);
        await follower.SubscribeAsync(JournalStreams.After(new(after)));
        var last = Math.Max(await writing, await cluster.AppendAsync(50));

        Assert.Equal(Positions(after + 1, last), await HeardAsync(follower, last));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.5)]
    [InlineData(1)]
    public async Task A_client_begins_anywhere_and_hears_every_event_once_and_in_order(double where)
    {
        var end = await cluster.AppendAsync(500);
        var from = (long)(end * where) + 1;
        var heard = new ConcurrentQueue<long>();

        var writing = cluster.AppendAsync(300);
        var handle = await cluster.Client.Client.GetStreamProvider(JournalStreams.Provider).GetStream<RecordedEvent>(JournalStreams.All)
            .SubscribeAsync(
                (e, _) =>
                {
                    heard.Enqueue(e.Position.Value);
                    return Task.CompletedTask;
                },
                JournalStreams.From(new(from)));
        var last = Math.Max(await writing, await cluster.AppendAsync(50));

        await Eventually.UntilAsync(
            $"the client has heard the event at {last}", () => Task.FromResult((heard.Contains(last), (object?)heard.Count)), Patience);
        Assert.Equal(Positions(from, last), heard);
        await handle.UnsubscribeAsync();
    }

    [Fact]
    public async Task A_subscription_goes_back_to_any_position()
    {
        var last = await cluster.AppendAsync(300);
        var follower = cluster.Silo.Grains.GetGrain<IFollower>(Guid.NewGuid().ToString());
        await follower.SubscribeAsync(JournalStreams.From(new(last)));
        Assert.Equal([last], await HeardAsync(follower, last));

        await follower.RewindAsync(JournalStreams.From(new(2)));
        Assert.Equal(Positions(2, last), await HeardAsync(follower, last));

        await follower.RewindAsync(JournalStreams.After(new(last - 3)));
        last = await cluster.AppendAsync(20);
        Assert.Equal(Positions(last - 22, last), await HeardAsync(follower, last));
    }

    [Fact]
    public async Task One_stuck_subscriber_does_not_stop_the_others_and_misses_nothing_itself()
    {
        var begin = await cluster.AppendAsync(10);
        var stuck = cluster.Silo.Grains.GetGrain<IFollower>(Guid.NewGuid().ToString());
        await stuck.HinderAsync(begin + 5, stuck: true);
        await stuck.SubscribeAsync(JournalStreams.After(new(begin)));
        var other = cluster.Silo.Grains.GetGrain<IFollower>(Guid.NewGuid().ToString());
        await other.SubscribeAsync(JournalStreams.After(new(begin)));

        // Far more than memory holds, and after the agent has given up on the stuck one.
        await cluster.AppendAsync(10);
        await Eventually.UntilAsync(
            "the stuck subscriber has come to where it gets stuck", stuck.HeardAsync, heard => heard.Count == 4, Patience);
        var last = await cluster.AppendAsync(500);
        Assert.Equal(Positions(begin + 1, last), await HeardAsync(other, last));
        Assert.Equal(Positions(begin + 1, begin + 4), await stuck.HeardAsync());

        await stuck.LetGoAsync();
        Assert.Equal(Positions(begin + 1, last), await HeardAsync(stuck, last));
    }

    [Fact]
    public async Task What_a_subscriber_cannot_handle_comes_again_until_it_can()
    {
        var begin = await cluster.AppendAsync(10);
        var failing = cluster.Silo.Grains.GetGrain<IFollower>(Guid.NewGuid().ToString());
        await failing.HinderAsync(begin + 5, stuck: false);
        await failing.SubscribeAsync(JournalStreams.After(new(begin)));
        var last = await cluster.AppendAsync(200);
        await Eventually.UntilAsync(
            "the agent has given up twice", failing.ErrorsAsync, errors => errors >= 2, Patience);
        Assert.DoesNotContain(begin + 5, await failing.HeardAsync());

        await failing.LetGoAsync();
        var heard = await HeardAsync(failing, last);

        // What came before the event in the same container came again with it.
        Assert.Equal(Positions(begin + 1, last), heard.Distinct());
    }

    private async Task<List<long>> HeardAsync(IFollower follower, long last) => await Eventually.UntilAsync(
        $"{follower.GetPrimaryKeyString()} has heard the event at {last}", follower.HeardAsync, heard => heard.Contains(last), Patience);

    private static List<long> Positions(long from, long to) => [.. Enumerable.Range(0, (int)(to - from + 1)).Select(n => from + n)];
}
