using Bank.Testing;
using Microsoft.Extensions.Logging;
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
            options, silo ?? $"test/silo-{++_silos}", fences ?? ISiloFences.None, time ?? TimeProvider.System, Logged);
        _journals.Add(journal);
        return journal;
    }

    /// <summary>What every journal of the test logs.</summary>
    private protected RecordingLogger Logged { get; } = new();

    /// <summary>A journal whose appends, and nothing else of it, go through a proxy.</summary>
    protected PostgresJournal OpenThrough(
        TcpProxy proxy, Action<PostgresJournalOptions>? configure = null, ISiloFences? fences = null) => Open(options =>
    {
        options.ConfigureDataSource = source =>
        {
            if (source.ConnectionStringBuilder is { ApplicationName: "journal appends" } settings)
                (settings.Host, settings.Port) = ("127.0.0.1", proxy.Port);
        };
        configure?.Invoke(options);
    }, fences: fences);

    protected async Task<T> ScalarAsync<T>(string sql)
    {
        await using var command = App.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync(Cancellation))!;
    }

    protected Task<long> CountEventsAsync() => ScalarAsync<long>("SELECT count(*) FROM journal.events");

    /// <summary>Everything that a refused append must leave as it was.</summary>
    protected Task<string> RecordAsync() => ScalarAsync<string>(
        """
        SELECT format('%s events, %s batches, head %s', (SELECT count(*) FROM journal.events), (SELECT count(*) FROM journal.batches), h)
        FROM journal.head h
        """);

    /// <summary>Runs a statement as superuser in the test's database, past every trigger.</summary>
    protected Task TamperAsync(string sql) => AsSuperuserAsync($"SET session_replication_role = replica; {sql}");

    /// <summary>The journal as a backup of an earlier moment has it.</summary>
    protected Task RestoreToAsync(long position) => TamperAsync(
        $"""
        DELETE FROM journal.events WHERE position > {position};
        DELETE FROM journal.batches WHERE last_position > {position};
        UPDATE journal.head SET (position, batch, chain) = (SELECT last_position, batch, chain FROM journal.batches
            ORDER BY batch DESC LIMIT 1);
        """);

    protected async Task AsSuperuserAsync(string sql)
    {
        var superuser = new NpgsqlConnectionStringBuilder(Postgres.Server.SuperuserConnectionString)
        {
            Database = Database.Name,
            Pooling = false,
        };
        await using var connection = new NpgsqlConnection(superuser.ConnectionString);
        await connection.OpenAsync(Cancellation);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Cancellation);
    }

    /// <summary>Holds the head as its owner does: no silo may terminate that.</summary>
    protected async Task<HeldHead> HoldHeadAsync()
    {
        var connection = await Owner.OpenConnectionAsync(Cancellation);
        await using var hold = new NpgsqlCommand("BEGIN; SELECT FROM journal.head FOR UPDATE", connection);
        await hold.ExecuteNonQueryAsync(Cancellation);
        return new(connection);
    }

    /// <summary>Waits until so many backends wait for a lock.</summary>
    protected Task WaitersAsync(int count) => Eventually.UntilAsync(
        $"{count} backends wait for the head",
        () => ScalarAsync<long>(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"),
        waiting => waiting == count,
        TimeSpan.FromSeconds(60));

    /// <summary>Hands appends over while the writer is busy, so that one call carries all of them.</summary>
    protected async Task<AppendOutcome[]> InOneCallAsync(PostgresJournal journal, params Append[] appends)
    {
        await using var head = await HoldHeadAsync();
        var busy = journal.AppendAsync(Make.First($"busy-{Guid.NewGuid()}")).AsTask();
        await WaitersAsync(1);
        var outcomes = appends.Select(append => journal.AppendAsync(append).AsTask()).ToList();
        await head.ReleaseAsync();
        Assert.IsType<AppendOutcome.Appended>(await busy);
        return await Task.WhenAll(outcomes);
    }
}

/// <summary>A transaction that holds the head.</summary>
public sealed class HeldHead(NpgsqlConnection connection) : IAsyncDisposable
{
    public async Task ReleaseAsync()
    {
        if (connection.State != System.Data.ConnectionState.Open)
            return;
        await using var release = new NpgsqlCommand("ROLLBACK", connection);
        await release.ExecuteNonQueryAsync();
        await connection.CloseAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await ReleaseAsync();
        await connection.DisposeAsync();
    }
}

/// <summary>Keeps what a journal says, by the name of the message.</summary>
internal sealed class RecordingLogger : ILogger<PostgresJournal>
{
    private readonly System.Collections.Concurrent.ConcurrentQueue<(string Name, string Text)> _messages = [];

    public IEnumerable<string> Of(string name) => _messages.Where(m => m.Name == name).Select(m => m.Text);

    /// <summary>Called with the name of each message before it is kept; what it throws reaches the journal.</summary>
    public Action<string> OnMessage { get; set; } = _ => { };

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        OnMessage(eventId.Name ?? "");
        _messages.Enqueue((eventId.Name ?? "", formatter(state, exception)));
    }
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

    /// <summary>The same events as before, by an activation that knows nothing of the first time.</summary>
    public static Append Again(this Append before, StreamState? expected = null) =>
        before with { Epoch = new(), Expected = expected ?? before.Expected };

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
