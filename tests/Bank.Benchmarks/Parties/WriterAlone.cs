using Bank.Benchmarks.Measuring;
using Bank.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Orleans.EventSourcing.Postgres;

namespace Bank.Benchmarks.Parties;

/// <summary>The journal without Orleans: callers in this process append complete rows to streams of their own.</summary>
internal sealed class WriterAlone : IAsyncDisposable
{
    public const string Table = "journal.events";

    private readonly PostgresJournal _journal;
    private readonly string[] _ids;
    private readonly StreamState[] _states;

    private WriterAlone(TestDatabase database, int streams)
    {
        Database = database;
        _journal = new(
            new() { ConnectionString = database.App }, "bench/writer", ISiloFences.None, TimeProvider.System,
            NullLogger<PostgresJournal>.Instance);
        _ids = [.. Enumerable.Range(0, streams).Select(_ => $"account-{Guid.NewGuid()}")];
        _states = new StreamState[streams];
    }

    public static async Task<WriterAlone> PrepareAsync(UnshakenPostgres postgres, Pace pace) =>
        new(await postgres.CreateDatabaseAsync(), pace.Accounts);

    public TestDatabase Database { get; }

    /// <summary>So many callers.</summary>
    public LoadParty InFlight(int callers)
    {
        var name = $"writer, {callers} in flight";
        callers = Math.Min(callers, _states.Length);
        var next = new int[callers];
        return new(name, "appends/s", (time, cancellation) => Load.RunAsync(callers, time, AppendAsync, cancellation));

        // Each caller goes round its own streams, so that nothing conflicts.
        async Task AppendAsync(int caller)
        {
            var stream = next[caller] * callers + caller;
            next[caller] = stream + callers < _states.Length ? next[caller] + 1 : 0;
            var outcome = await _journal.AppendAsync(new(
                _ids[stream],
                _states[stream],
                [new(Guid.CreateVersion7(), "MoneyDeposited", 1, Payload.DataBytes, Payload.MetadataBytes)],
                new()));
            _states[stream] = outcome is AppendOutcome.Appended appended
                ? appended.Last
                : throw new InvalidOperationException($"The writer alone got {outcome}.");
        }
    }

    public ValueTask DisposeAsync() => _journal.DisposeAsync();
}
