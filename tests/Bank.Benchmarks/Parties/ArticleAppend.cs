using System.Diagnostics;
using System.Globalization;
using Bank.Benchmarks.Measuring;
using Bank.Testing;
using Npgsql;
using NpgsqlTypes;

namespace Bank.Benchmarks.Parties;

/// <summary>
/// The append of the article that the bank started from, on the article's table: a transaction per command that reads the aggregate's
/// version and inserts the next event. As printed (<c>SELECT MAX(version) ... FOR UPDATE</c>) PostgreSQL refuses it; here it is without
/// the lock, as the table's unique constraint says who was late. 32 clients, each with accounts of its own, so that nobody ever is.
/// </summary>
internal sealed class ArticleAppend : IAsyncDisposable
{
    public const string Unit = "appends/s";
    public const string TableName = "events";

    private const int Clients = 32;

    private const string Table =
        """
        CREATE TABLE events (
            position BIGSERIAL PRIMARY KEY,
            id VARCHAR(36) NOT NULL UNIQUE,
            aggregate_id VARCHAR(36) NOT NULL,
            aggregate_type VARCHAR(255) NOT NULL,
            event_type VARCHAR(255) NOT NULL,
            version INTEGER NOT NULL,
            data JSONB NOT NULL,
            metadata JSONB,
            timestamp TIMESTAMP WITH TIME ZONE NOT NULL,
            CONSTRAINT unique_aggregate_version UNIQUE (aggregate_id, version)
        )
        """;

    private const string Read = "SELECT COALESCE(MAX(version), 0) FROM events WHERE aggregate_id = $1";

    private const string Insert =
        """
        INSERT INTO events (id, aggregate_id, aggregate_type, event_type, version, data, metadata, timestamp)
        VALUES ($1, $2, 'account', 'MoneyDeposited', $3, $4, $5, now())
        """;

    private readonly NpgsqlDataSource _source;
    private readonly string _pgbench;
    private readonly string _script;
    private readonly string[] _accounts;

    private ArticleAppend(TestDatabase database, string pgbench, int accounts)
    {
        Database = database;
        _pgbench = pgbench;
        _source = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(database.Owner) { MaxPoolSize = Clients, MaxAutoPrepare = 10 });
        // What pgbench calls them, so that both ways append to the same ones.
        _accounts = [.. Enumerable.Range(0, accounts / Clients * Clients).Select(n => $"{n:d8}-0000-4000-8000-000000000000")];
        _script = Path.GetTempFileName();
        File.WriteAllText(_script, $$"""
            \set account random(0, {{accounts / Clients - 1}}) * {{Clients}} + :client_id
            BEGIN;
            SELECT COALESCE(MAX(version), 0) AS version FROM events
            WHERE aggregate_id = lpad((:account)::text, 8, '0') || '-0000-4000-8000-000000000000' \gset
            INSERT INTO events (id, aggregate_id, aggregate_type, event_type, version, data, metadata, timestamp)
            VALUES (gen_random_uuid()::text, lpad((:account)::text, 8, '0') || '-0000-4000-8000-000000000000', 'account', 'MoneyDeposited',
                :version + 1, '{{Payload.Data}}', '{{Payload.Metadata}}', now());
            COMMIT;
            """);
    }

    public TestDatabase Database { get; }

    public static async Task<ArticleAppend> PrepareAsync(UnshakenPostgres postgres, Pace pace, CancellationToken cancellation)
    {
        var database = await postgres.CreateEmptyDatabaseAsync();
        var article = new ArticleAppend(database, postgres.Server.Programs["pgbench"], pace.Accounts);
        await using var create = article._source.CreateCommand(Table);
        await create.ExecuteNonQueryAsync(cancellation);
        return article;
    }

    /// <summary>The better of the two ways, which a short run of each decides; a quick run takes the one that starts no program.</summary>
    public async Task<Party> BetterAsync(Comparison comparison, CancellationToken cancellation)
    {
        if (comparison.Pace.IsQuick)
            return new("article", Unit, WithNpgsqlAsync);
        comparison.Say("which way the article's append is faster");
        (string Name, Func<TimeSpan, CancellationToken, Task<double>> Run)[] ways =
            [("pgbench", WithPgbenchAsync), ("Npgsql", WithNpgsqlAsync)];
        List<double> rates = [];
        foreach (var (_, run) in ways)
        {
            await run(comparison.Pace.WarmUp, cancellation);
            rates.Add(await run(comparison.Pace.Round, cancellation));
        }

        var better = ways[rates.IndexOf(rates.Max())];
        comparison.Notes.Add($"article: through {better.Name}, the better of the two here");
        return new("article", Unit, better.Run);
    }

    /// <summary>Through pgbench, prepared.</summary>
    public Task<double> WithPgbenchAsync(TimeSpan time, CancellationToken cancellation)
    {
        var server = new NpgsqlConnectionStringBuilder(Database.Owner);
        return Pgbench.RunAsync(Start, Math.Max(1, (int)Math.Round(time.TotalSeconds)), cancellation);

        ProcessStartInfo Start(int seconds)
        {
            var start = new ProcessStartInfo(_pgbench,
                [
                    "--host", server.Host!, "--port", $"{server.Port}", "--username", server.Username!, "--no-vacuum",
                    "--protocol=prepared", $"--client={Clients}", "--jobs=2", $"--time={seconds}", $"--file={_script}", Database.Name,
                ])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            start.Environment["PGPASSWORD"] = server.Password;
            return start;
        }
    }

    /// <summary>Through Npgsql, prepared, in this process.</summary>
    public async Task<double> WithNpgsqlAsync(TimeSpan time, CancellationToken cancellation) =>
        (await ThroughNpgsql.LoadAsync(time, cancellation)).PerSecond;

    /// <inheritdoc cref="WithNpgsqlAsync"/>
    public LoadParty ThroughNpgsql => new("article, Npgsql", Unit, LoadAsync);

    private async Task<LoadResult> LoadAsync(TimeSpan time, CancellationToken cancellation)
    {
        var connections = await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => _source.OpenConnectionAsync(cancellation).AsTask()));
        try
        {
            return await Load.RunAsync(Clients, time, AppendAsync, cancellation);
        }
        finally
        {
            foreach (var connection in connections)
                await connection.DisposeAsync();
        }

        async Task AppendAsync(int client)
        {
            var account = _accounts[Random.Shared.Next(_accounts.Length / Clients) * Clients + client];
            await using var transaction = await connections[client].BeginTransactionAsync(CancellationToken.None);
            await using var read = new NpgsqlCommand(Read, connections[client], transaction)
            {
                Parameters = { new NpgsqlParameter<string> { TypedValue = account } },
            };
            var version = (int)(await read.ExecuteScalarAsync(CancellationToken.None))!;
            await using var insert = new NpgsqlCommand(Insert, connections[client], transaction)
            {
                Parameters =
                {
                    new NpgsqlParameter<string> { TypedValue = Guid.NewGuid().ToString() },
                    new NpgsqlParameter<string> { TypedValue = account },
                    new NpgsqlParameter<int> { TypedValue = version + 1 },
                    new NpgsqlParameter<string> { TypedValue = Payload.Data, NpgsqlDbType = NpgsqlDbType.Jsonb },
                    new NpgsqlParameter<string> { TypedValue = Payload.Metadata, NpgsqlDbType = NpgsqlDbType.Jsonb },
                },
            };
            await insert.ExecuteNonQueryAsync(CancellationToken.None);
            await transaction.CommitAsync(CancellationToken.None);
        }
    }

    public ValueTask DisposeAsync()
    {
        File.Delete(_script);
        return _source.DisposeAsync();
    }
}
