using Bank.Testing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Journal;

/// <summary>A fresh database per test, journals on it, and short ways to say what is appended.</summary>
public abstract class JournalTest(PrivatePostgres postgres) : IAsyncLifetime
{
    private readonly List<PostgresJournal> _journals = [];
    private readonly List<NpgsqlDataSource> _sources = [];
    private int _silos;

    protected PrivatePostgres Postgres => postgres;

    protected TestDatabase Database { get; private set; } = null!;

    /// <summary>As <c>bank_app</c>, past every journal.</summary>
    protected NpgsqlDataSource App { get; private set; } = null!;

    /// <summary>As <c>bank_owner</c>.</summary>
    protected NpgsqlDataSource Owner { get; private set; } = null!;

    protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public virtual async ValueTask InitializeAsync()
    {
        Database = await postgres.CreateDatabaseAsync();
        App = Connect(Database.App);
        Owner = Connect(Database.Owner);
    }

    public virtual async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        foreach (var journal in _journals)
            await journal.DisposeAsync();
        foreach (var source in _sources)
            await source.DisposeAsync();
    }

    protected NpgsqlDataSource Connect(string connectionString)
    {
        var source = NpgsqlDataSource.Create(connectionString);
        _sources.Add(source);
        return source;
    }

    /// <summary>A journal of a silo of its own.</summary>
    protected PostgresJournal Open(
        Action<PostgresJournalOptions>? configure = null, string? silo = null, ISiloFences? fences = null, TimeProvider? time = null)
    {
        var options = new PostgresJournalOptions { ConnectionString = Database.App };
        configure?.Invoke(options);
        var journal = new PostgresJournal(
            options, silo ?? $"test/silo-{++_silos}", fences ?? ISiloFences.None, time ?? TimeProvider.System, Logger);
        _journals.Add(journal);
        return journal;
    }

    protected virtual ILogger<PostgresJournal> Logger => NullLogger<PostgresJournal>.Instance;

    protected async Task<T> ScalarAsync<T>(string sql)
    {
        await using var command = App.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync(Cancellation))!;
    }

    protected Task<long> CountEventsAsync() => ScalarAsync<long>("SELECT count(*) FROM journal.events");
}

/// <summary>Short ways to make events and appends.</summary>
internal static class Make
{
    public static readonly byte[] Hash = [1, 2, 3];

    public static NewEvent Event(
        Guid? id = null, string type = "MoneyDeposited", string data = """{"amount": "1.00"}""", int n = 1, int of = 1,
        Guid? command = null, byte[]? hash = null)
    {
        var eventId = id ?? Guid.NewGuid();
        return new(eventId, type, 1, System.Text.Encoding.UTF8.GetBytes(data),
            EventMetadata.Write(n, of, command ?? eventId, hash ?? Hash, null));
    }

    /// <summary>One event, the first of its stream.</summary>
    public static Append First(string stream, Guid? id = null, Epoch? epoch = null) =>
        new(stream, StreamState.Empty, [Event(id)], epoch ?? new());

    /// <summary>One event after another append, in the same epoch unless told otherwise.</summary>
    public static Append Next(this Append before, Guid? id = null, Epoch? epoch = null, string data = """{"amount": "1.00"}""",
        byte[]? hash = null, Lane lane = Lane.Normal) =>
        new(before.StreamId, before.After, [Event(id, data: data, hash: hash)], epoch ?? before.Epoch, lane);

    /// <summary>Several events of one command.</summary>
    public static Append Several(string stream, StreamState expected, int count, Guid? command = null, Epoch? epoch = null)
    {
        var first = command ?? Guid.NewGuid();
        return new(
            stream,
            expected,
            [.. Enumerable.Range(1, count).Select(n => Event(n == 1 ? first : Guid.NewGuid(), n: n, of: count, command: first))],
            epoch ?? new());
    }
}
