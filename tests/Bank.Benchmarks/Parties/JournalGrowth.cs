using System.Diagnostics;
using Bank.Benchmarks.Measuring;
using Bank.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Orleans.EventSourcing.Postgres;

namespace Bank.Benchmarks.Parties;

/// <summary>Fills a journal with complete rows of other accounts, many per append.</summary>
internal sealed class JournalGrowth(TestDatabase database) : IAsyncDisposable
{
    private const int Callers = 40;
    private const int EventsOfAppend = 50;
    private const int EventsOfStream = 200;

    private readonly PostgresJournal _journal = new(
        new() { ConnectionString = database.App }, "bench/growth", ISiloFences.None, TimeProvider.System,
        NullLogger<PostgresJournal>.Instance);

    /// <summary>Appends about so many events.</summary>
    public async Task GrowAsync(long events, Comparison comparison, CancellationToken cancellation)
    {
        var (appended, said) = (0L, Stopwatch.GetTimestamp());
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(async caller =>
        {
            while (Interlocked.Read(ref appended) < events)
            {
                var (stream, state) = ($"account-{Guid.NewGuid()}", default(StreamState));
                while (state.Version < EventsOfStream)
                {
                    cancellation.ThrowIfCancellationRequested();
                    var outcome = await _journal.AppendAsync(new(stream, state, [.. NewEvents()], new()));
                    state = (outcome as AppendOutcome.Appended)?.Last
                        ?? throw new InvalidOperationException($"An append that was to fill the journal got {outcome}.");
                    Interlocked.Add(ref appended, EventsOfAppend);
                }

                if (caller == 0 && Stopwatch.GetElapsedTime(said) > TimeSpan.FromSeconds(1))
                {
                    said = Stopwatch.GetTimestamp();
                    comparison.Say($"{Interlocked.Read(ref appended):N0} of {events:N0} events");
                }
            }
        }));

        static IEnumerable<NewEvent> NewEvents() => Enumerable.Range(0, EventsOfAppend).Select(_ =>
            new NewEvent(Guid.CreateVersion7(), "MoneyDeposited", 1, Payload.DataBytes, Payload.MetadataBytes));
    }

    public ValueTask DisposeAsync() => _journal.DisposeAsync();
}
