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

    private async Task<List<long>> HeardAsync(IFollower follower, long last) => await Eventually.UntilAsync(
        $"{follower.GetPrimaryKeyString()} has heard the event at {last}", follower.HeardAsync, heard => heard.Contains(last), Patience);

    private static List<long> Positions(long from, long to) => [.. Enumerable.Range(0, (int)(to - from + 1)).Select(n => from + n)];
}
