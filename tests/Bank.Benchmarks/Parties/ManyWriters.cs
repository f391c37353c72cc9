using System.Globalization;
using Bank.Benchmarks.Measuring;
using Bank.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Orleans.EventSourcing.Postgres;

namespace Bank.Benchmarks.Parties;

/// <summary>The writers of several silos, in this process, on one journal: who shares its head.</summary>
internal sealed class ManyWriters : IAsyncDisposable
{
    public const int BatchEvents = 1_000;

    private readonly UnshakenPostgres _postgres;
    private readonly TestDatabase _database;
    private readonly NpgsqlDataSource _reader;
    private readonly string[] _ids;
    private readonly StreamState[] _states;
    private int _writers;

    private ManyWriters(UnshakenPostgres postgres, TestDatabase database, int streams)
    {
        (_postgres, _database) = (postgres, database);
        _reader = NpgsqlDataSource.Create(database.App);
        _ids = [.. Enumerable.Range(0, streams).Select(_ => $"account-{Guid.NewGuid()}")];
        _states = new StreamState[streams];
    }

    public static async Task<ManyWriters> PrepareAsync(UnshakenPostgres postgres, Pace pace) =>
        new(postgres, await postgres.CreateDatabaseAsync(), pace.Accounts);

    /// <summary>Makes each commit of writers to come wait before its flush, as on a slower disk.</summary>
    public Task DelayCommitsAsync(TimeSpan delay) => _postgres.AsSuperuserAsync(string.Create(
        CultureInfo.InvariantCulture,
        $"""
        ALTER ROLE bank_app IN DATABASE {_database.Name} SET commit_delay = {delay.TotalMicroseconds:0};
        ALTER ROLE bank_app IN DATABASE {_database.Name} SET commit_siblings = 0;
        """));

    /// <summary>So many writers that share so many callers; yields the rate, and how many events a batch had.</summary>
    /// <param name="name">Of the party.</param>
    /// <param name="writers">How many.</param>
    /// <param name="callers">How many in all.</param>
    /// <param name="gather">Whether they gather as they do in the product, or make each call at once.</param>
    public Party Party(string name, int writers, int callers, bool gather) => new(name, async (time, cancellation) =>
    {
        callers = Math.Min(callers, _states.Length);
        var journals = Enumerable.Range(0, writers).Select(_ => new PostgresJournal(
            OptionsOf(gather), $"bench/scale-{_writers++}", ISiloFences.None, TimeProvider.System,
            NullLogger<PostgresJournal>.Instance)).ToList();
        try
        {
            var next = new int[callers];
            var before = await HeadAsync(cancellation);
            var load = await Load.RunAsync(callers, time, caller => AppendAsync(journals[caller % writers], caller, next), cancellation);
            var after = await HeadAsync(cancellation);
            return
            [
                new(name, load.PerSecond, "events/s"),
                new($"{name}, events a batch", (double)(after.Position - before.Position) / (after.Batch - before.Batch), "events"),
            ];
        }
        finally
        {
            foreach (var journal in journals)
                await journal.DisposeAsync();
        }
    });

    public ValueTask DisposeAsync() => _reader.DisposeAsync();

    private PostgresJournalOptions OptionsOf(bool gather)
    {
        var options = new PostgresJournalOptions { ConnectionString = _database.App, BatchEvents = BatchEvents };
        if (!gather)
            options.GatherAtMost = TimeSpan.Zero;
        return options;
    }

    // Each caller goes round its own streams, so that nothing conflicts.
    private async Task AppendAsync(PostgresJournal journal, int caller, int[] next)
    {
        var stream = next[caller] + caller;
        next[caller] = stream + next.Length < _states.Length ? next[caller] + next.Length : 0;
        var outcome = await journal.AppendAsync(new(
            _ids[stream],
            _states[stream],
            [new(Guid.CreateVersion7(), "MoneyDeposited", 1, Payload.DataBytes, Payload.MetadataBytes)],
            new()));
        _states[stream] = outcome is AppendOutcome.Appended appended
            ? appended.Last
            : throw new InvalidOperationException($"A writer of several got {outcome}.");
    }

    private async Task<(long Position, long Batch)> HeadAsync(CancellationToken cancellation)
    {
        await using var head = _reader.CreateCommand("SELECT position, batch FROM journal.head");
        await using var reader = await head.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        return (reader.GetInt64(0), reader.GetInt64(1));
    }
}
