using System.Collections.Concurrent;
using System.Diagnostics;
using Bank.Benchmarks.Measuring;
using Bank.Host;
using Bank.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Configuration;
using Orleans.EventSourcing.Postgres;
using Orleans.Streams;

namespace Bank.Benchmarks.Parties;

/// <summary>The journal as a stream: a silo in this process with a grain that subscribes and only looks at the clock.</summary>
internal sealed class StreamFollowers : IAsyncDisposable
{
    private const int InFlight = 1_000;

    private readonly IHost _host;
    private readonly PostgresJournal _journal;
    private long _streams;

    private StreamFollowers(IHost host)
    {
        _host = host;
        _journal = host.Services.GetRequiredService<PostgresJournal>();
    }

    /// <summary>Starts the silo on a database of its own.</summary>
    public static async Task<StreamFollowers> StartAsync(UnshakenPostgres postgres, CancellationToken cancellation)
    {
        var database = await postgres.CreateDatabaseAsync();
        var builder = Microsoft.Extensions.Hosting.Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.UseOrleans(silo => silo
            .UseLocalhostClustering(Ports.PreferredOrFree(0), Ports.PreferredOrFree(0), serviceId: database.Name, clusterId: database.Name)
            .AddMemoryGrainStorage("PubSubStore")
            .AddPostgresJournal(options => options.ConnectionString = database.App)
            .AddPostgresJournalStreams()
            // They come along with the benchmarks, and cannot begin without projections.
            .Configure<GrainTypeOptions>(options => options.Classes.RemoveWhere(c => c.IsAssignableTo(typeof(ProjectionGrain)))));
        var host = builder.Build();
        await host.StartAsync(cancellation);
        await host.Services.GetRequiredService<IGrainFactory>().GetGrain<IClockGrain>("clock").SubscribeAsync();
        return new(host);
    }

    /// <summary>How long events take from being recorded to a grain that subscribes, at so many a second.</summary>
    public Party At(int eventsPerSecond)
    {
        var name = $"to a grain, {eventsPerSecond} events/s";
        return new(name, async (time, cancellation) =>
        {
            ClockGrain.Seen.Clear();
            using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(Math.Max(5, 1_000.0 / eventsPerSecond)));
            var started = Stopwatch.GetTimestamp();
            var sent = 0;
            var appends = new List<Task>();
            while (Stopwatch.GetElapsedTime(started) < time && await timer.WaitForNextTickAsync(cancellation))
                for (var due = (int)(Stopwatch.GetElapsedTime(started).TotalSeconds * eventsPerSecond); sent < due; sent++)
                    appends.Add(AppendAsync());
            await Task.WhenAll(appends);
            await UntilSeenAsync(sent, cancellation);
            var latencies = ClockGrain.Seen.Order().ToList();
            return
            [
                new($"{name}, p50", latencies[latencies.Count / 2].TotalMilliseconds, "ms"),
                new($"{name}, p99", latencies[latencies.Count * 99 / 100].TotalMilliseconds, "ms"),
            ];
        });
    }

    /// <summary>As fast as they can be appended.</summary>
    public Party Flat()
    {
        const string Name = "to a grain, as fast as appended";
        return new(Name, "events/s", async (time, cancellation) =>
        {
            ClockGrain.Seen.Clear();
            var started = Stopwatch.GetTimestamp();
            var load = await Load.RunAsync(InFlight, time, _ => AppendAsync(), cancellation);
            await UntilSeenAsync(load.Latencies.Count, cancellation);
            return load.Latencies.Count / Stopwatch.GetElapsedTime(started).TotalSeconds;
        });
    }

    /// <summary>A subscriber of all events, from the beginning: everything comes from the table.</summary>
    public Party FromTheBeginning()
    {
        const string Name = "history to a subscriber";
        return new(Name, "events/s", async (_, cancellation) =>
        {
            var head = (await _journal.ReadHeadAsync(cancellation)).Value;
            var done = new TaskCompletionSource();
            var started = Stopwatch.GetTimestamp();
            var handle = await _host.Services.GetRequiredService<IClusterClient>().GetStreamProvider(JournalStreams.Provider)
                .GetStream<JournalInterval>(JournalStreams.All).SubscribeAsync(
                    (interval, _) =>
                    {
                        if (interval.To.Value >= head)
                            done.TrySetResult();
                        return Task.CompletedTask;
                    },
                    JournalStreams.After(default(Position)));
            await done.Task.WaitAsync(cancellation);
            var elapsed = Stopwatch.GetElapsedTime(started);
            await handle.UnsubscribeAsync();
            return head / elapsed.TotalSeconds;
        });
    }

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync(new CancellationToken(canceled: true));
        await ((IAsyncDisposable)_host).DisposeAsync();
    }

    private static async Task UntilSeenAsync(int count, CancellationToken cancellation)
    {
        while (ClockGrain.Seen.Count < count)
            await Task.Delay(1, cancellation);
    }

    private async Task AppendAsync()
    {
        var outcome = await _journal.AppendAsync(new(
            $"account-{Interlocked.Increment(ref _streams)}",
            StreamState.Empty,
            [new(Guid.CreateVersion7(), "MoneyDeposited", 1, Payload.DataBytes, Payload.MetadataBytes)],
            new()));
        if (outcome is not AppendOutcome.Appended)
            throw new InvalidOperationException($"An append got {outcome}.");
    }
}

/// <summary>Notes how long ago what it hears was recorded.</summary>
internal interface IClockGrain : IGrainWithStringKey
{
    Task SubscribeAsync();
}

internal sealed class ClockGrain : Grain, IClockGrain
{
    public static ConcurrentBag<TimeSpan> Seen { get; } = [];

    public Task SubscribeAsync() =>
        this.GetStreamProvider(JournalStreams.Provider).GetStream<JournalInterval>(JournalStreams.All).SubscribeAsync(
            (interval, _) =>
            {
                var now = DateTimeOffset.UtcNow;
                foreach (var e in interval.Events)
                    Seen.Add(now - e.RecordedAt);
                return Task.CompletedTask;
            },
            JournalStreams.After(default(Position)));
}
