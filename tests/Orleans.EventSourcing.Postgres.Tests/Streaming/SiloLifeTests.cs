using System.Globalization;
using Bank.Testing;
using Orleans.Configuration;
using Orleans.EventSourcing.Postgres.Tests.Journal;
using Orleans.EventSourcing.Postgres.Tests.Projections;
using Orleans.Hosting;
using Orleans.Runtime;
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
    public async Task A_silo_that_joins_takes_queues_over_with_their_projections_and_reads_what_lies_in_them()
    {
        // So many that no silo is without one.
        const int Partitions = 16, Appends = 100, Events = 10;
        var journal = Open();
        await using var first = await StartAsync();
        await AppendAsync();
        await Eventually.UntilAsync(
            "the first silo has all projections", PlacesAsync, places => places.Count == Partitions, Patience);

        await using var second = await StartAsync();
        await Eventually.UntilAsync(
            "each projection is where its queue is, and both silos have some",
            async () =>
            {
                var (senders, places) = (await SendersAsync(), await PlacesAsync());
                var met = senders.Values.Distinct().Count() == 2 && senders.All(s => s.Value!.Equals(places.GetValueOrDefault(s.Key)));
                return (met, (object?)string.Join(", ", senders.Select(s => $"{s.Key}: {s.Value} {places.GetValueOrDefault(s.Key)}")));
            },
            Patience);

        using var readByFirst = new TailReads(first.Meters);
        using var readBySecond = new TailReads(second.Meters);
        var head = await AppendAsync();
        foreach (var number in Enumerable.Range(0, Partitions))
            await Eventually.UntilAsync(
                $"partition {number} has heard all", () => HeardAsync(number), heard => heard[^1].To.Value >= head, Patience);
        // Each event once, and of each batch the last one twice.
        Assert.InRange(readByFirst.Events + readBySecond.Events, Appends * Events, Appends * (Events + 1));

        Task<StreamSilo> StartAsync() => StreamSilo.StartAsync(
            Database.App, Cancellation, o => (o.Partitions, o.EmptyIntervalAfter) = (Partitions, TimeSpan.FromSeconds(1)),
            silo => silo.AddPostgresProjections(o => o.Projections.Add(new CountedEvents()))
                .Configure<GrainTypeOptions>(o => o.Classes.Add(typeof(CountedGrain))));

        async Task<long> AppendAsync()
        {
            var outcomes = await Task.WhenAll(Enumerable.Range(0, Appends).Select(_ =>
                journal.AppendAsync(Make.Several($"account-{Guid.NewGuid()}", StreamState.Empty, Events)).AsTask()));
            return outcomes.Max(outcome => Assert.IsType<AppendOutcome.Appended>(outcome).LastPosition.Value);
        }

        Task<List<JournalInterval>> HeardAsync(int number) => first.Grains.GetGrain<IPartitionFollower>(number).HeardAsync();

        async Task<Dictionary<int, SiloAddress?>> SendersAsync()
        {
            var senders = new Dictionary<int, SiloAddress?>();
            foreach (var number in Enumerable.Range(0, Partitions))
                senders.Add(number, (await HeardAsync(number)).LastOrDefault()?.Sender);
            return senders;
        }

        async Task<Dictionary<int, SiloAddress>> PlacesAsync() =>
            (await first.Grains.GetGrain<IManagementGrain>(0).GetDetailedGrainStatistics())
                .Where(grain => grain.GrainId.Type.ToString() == "projection-counted")
                .GroupBy(grain => int.Parse(grain.GrainId.Key.ToString()!, CultureInfo.InvariantCulture), grain => grain.SiloAddress)
                .ToDictionary(grain => grain.Key, grain => grain.Last());
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
