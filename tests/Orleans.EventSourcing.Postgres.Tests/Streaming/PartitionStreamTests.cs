using Bank.Testing;
using Orleans.Streams;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Streaming;

public sealed class PartitionStreamTests(OneSilo cluster) : IClassFixture<OneSilo>
{
    // Longer than Orleans takes to give up a call into an activation that has just gone, and to deliver again.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(150);

    [Fact]
    public async Task Partitions_hear_contiguous_intervals_with_all_that_is_theirs_up_to_the_head()
    {
        // So few that some partitions have nothing, and then so many that memory does not hold them.
        var begin = await cluster.AppendAsync(3);
        await ReachedAsync(begin);
        var end = await cluster.AppendAsync(700);
        var heard = await ReachedAsync(end);

        foreach (var (partition, intervals) in heard)
        {
            Assert.All(intervals.Zip(intervals.Skip(1)), pair => Assert.Equal(pair.First.To, pair.Second.From));
            Assert.All(intervals, interval => Assert.All(
                interval.Events, e => Assert.Equal(partition, Partition.Of(StreamSlot.Of(e.StreamId), heard.Length).Number)));
            Assert.All(intervals, interval => Assert.All(interval.Events, e => Assert.InRange(
                e.Position.Value, interval.From.Value + 1, interval.To.Value)));
            Assert.All(intervals, interval => Assert.InRange(interval.Events.Count, 0, OneSilo.BatchEvents));
        }

        var from = heard.Max(h => h.Intervals[0].From.Value);
        var all = heard.SelectMany(h => h.Intervals).SelectMany(i => i.Events).Select(e => e.Position.Value).Where(p => p > from).Order();
        Assert.Equal(Enumerable.Range((int)from + 1, (int)(end - from)).Select(p => (long)p), all);
        Assert.Contains(heard, h => h.Intervals.Any(i => i.Events.Count == 0 && i.To > i.From));
    }

    [Fact]
    public async Task A_grain_that_was_collected_is_activated_again_by_an_empty_interval()
    {
        var before = await Eventually.UntilAsync(
            "a partition has heard something", () => Task.FromResult(Hearings().LastOrDefault()), hearing => hearing is not null, Patience);
        await cluster.Silo.Grains.GetGrain<IPartitionFollower>(before!.Partition).DeactivateAsync();

        await Eventually.UntilAsync(
            $"another activation of partition {before.Partition} has heard something, though nothing was appended",
            () => Hearings().Any(hearing => hearing.Partition == before.Partition && hearing != before),
            Patience);

        IEnumerable<Hearing> Hearings() => PartitionFollowerGrain.Activations.Where(h => h.Cluster == cluster.Database.Name);
    }

    [Fact]
    public async Task In_silence_a_partition_is_told_again_and_again_where_it_stands() => await Eventually.UntilAsync(
        "one activation has heard the same empty interval three times",
        cluster.Silo.Grains.GetGrain<IPartitionFollower>(3).HeardAsync,
        heard => heard.Where(i => i.From == i.To).GroupBy(i => i.To).Any(same => same.Count() == 3),
        Patience);

    [Fact]
    public async Task Explicit_subscriptions_to_partitions_and_writing_to_streams_are_refused()
    {
        var partition = cluster.Silo.Client.GetStreamProvider(JournalStreams.Projections).GetStream<JournalInterval>(
            JournalStreams.Of(new(0, 4)));
        var all = cluster.Client.Client.GetStreamProvider(JournalStreams.Provider).GetStream<RecordedEvent>(JournalStreams.All);

        await Assert.ThrowsAnyAsync<Exception>(() => partition.SubscribeAsync((_, _) => Task.CompletedTask));
        await Assert.ThrowsAnyAsync<Exception>(() => all.OnNextAsync(null!));
    }

    private async Task<(long Number, List<JournalInterval> Intervals)[]> ReachedAsync(long position) => await Task.WhenAll(
        Enumerable.Range(0, 4).Select(async number => (
            (long)number,
            await Eventually.UntilAsync(
                $"partition {number} has reached {position}",
                cluster.Silo.Grains.GetGrain<IPartitionFollower>(number).HeardAsync,
                heard => heard.Count > 0 && heard[^1].To.Value >= position,
                Patience))));
}
