using Bank.Testing;
using Orleans.Runtime;
using Orleans.Streams;
using Xunit;

namespace Bank.Cluster.Tests.Storage;

/// <summary>The subscriptions of Orleans' streams, which live in the store with the name PubSubStore.</summary>
public sealed class PubSubStoreTests(TwoSilos cluster) : IClassFixture<TwoSilos>
{
    [Fact]
    public async Task A_subscription_is_stored_serves_the_other_silo_and_ends()
    {
        var stream = Guid.NewGuid();
        var listener = cluster.First.Grains.GetGrain<IListener>(stream);
        await listener.SubscribeAsync();
        Assert.Equal(1, await StoredAsync());

        var teller = cluster.Second.Grains.GetGrain<ITeller>(stream);
        await Eventually.UntilAsync(
            "the listener has heard",
            async () =>
            {
                await teller.TellAsync("hello");
                return await listener.HeardAsync();
            },
            heard => heard.Contains("hello"),
            TimeSpan.FromSeconds(20));

        await listener.UnsubscribeAsync();
        Assert.Equal(0, await SubscriptionsAsync());

        Task<long> StoredAsync() => cluster.ScalarAsync<long>(
            $"SELECT count(*) FROM grain_states WHERE payload IS NOT NULL AND key_text LIKE '%{stream:N}%'");

        async Task<long> SubscriptionsAsync() => await StoredAsync() == 0 ? 0 : await listener.SubscriptionsAsync();
    }
}

public interface IListener : IGrainWithGuidKey
{
    Task SubscribeAsync();

    Task UnsubscribeAsync();

    Task<int> SubscriptionsAsync();

    Task<List<string>> HeardAsync();
}

public sealed class ListenerGrain : Grain, IListener
{
    private readonly List<string> heard = [];

    private IAsyncStream<string> Stream =>
        this.GetStreamProvider(TestSilo.Streams).GetStream<string>(StreamId.Create("talk", this.GetPrimaryKey()));

    public Task SubscribeAsync() => Stream.SubscribeAsync((text, _) =>
    {
        heard.Add(text);
        return Task.CompletedTask;
    });

    public async Task UnsubscribeAsync()
    {
        foreach (var subscription in await Stream.GetAllSubscriptionHandles())
        {
            await subscription.UnsubscribeAsync();
        }
    }

    public async Task<int> SubscriptionsAsync() => (await Stream.GetAllSubscriptionHandles()).Count;

    public Task<List<string>> HeardAsync() => Task.FromResult(heard);
}

public interface ITeller : IGrainWithGuidKey
{
    Task TellAsync(string text);
}

public sealed class TellerGrain : Grain, ITeller
{
    public Task TellAsync(string text) =>
        this.GetStreamProvider(TestSilo.Streams).GetStream<string>(StreamId.Create("talk", this.GetPrimaryKey())).OnNextAsync(text);
}
