using System.Diagnostics;
using System.Globalization;
using Bank.Benchmarks.Measuring;
using Bank.Testing;
using Npgsql;

namespace Bank.Benchmarks.Parties;

/// <summary>One client of pgbench that inserts a row in a transaction of its own: what this disk asks for one flush.</summary>
internal sealed class BareCommit : IAsyncDisposable
{
    private readonly TestDatabase _database;
    private readonly string _pgbench;
    private readonly string _folder = Directory.CreateTempSubdirectory("bank-bench-").FullName;

    private BareCommit(TestDatabase database, string pgbench) => (_database, _pgbench) = (database, pgbench);

    public static async Task<BareCommit> PrepareAsync(UnshakenPostgres postgres, CancellationToken cancellation)
    {
        var commit = new BareCommit(await postgres.CreateEmptyDatabaseAsync(), postgres.Server.Programs["pgbench"]);
        await using var owner = NpgsqlDataSource.Create(commit._database.Owner);
        await using var create = owner.CreateCommand("CREATE TABLE bare (id bigserial PRIMARY KEY, data jsonb NOT NULL)");
        await create.ExecuteNonQueryAsync(cancellation);
        await File.WriteAllTextAsync(commit.Script, $"INSERT INTO bare (data) VALUES ('{Payload.Data}');", cancellation);
        return commit;
    }

    public Party OneClient(string name) => new(name, async (time, cancellation) =>
    {
        var server = new NpgsqlConnectionStringBuilder(_database.Owner);
        var rate = await Pgbench.RunAsync(Start, Math.Max(1, (int)Math.Round(time.TotalSeconds)), cancellation);
        // "client transaction microseconds script seconds microseconds"
        var log = Directory.GetFiles(_folder, "log.*").Single();
        var latencies = (await File.ReadAllLinesAsync(log, cancellation))
            .Select(line => TimeSpan.FromMicroseconds(double.Parse(line.Split(' ')[2], CultureInfo.InvariantCulture)))
            .Order()
            .ToList();
        File.Delete(log);
        return new LoadResult(rate, latencies).Samples(name, "commits/s");

        ProcessStartInfo Start(int seconds)
        {
            foreach (var earlier in Directory.GetFiles(_folder, "log.*"))
                File.Delete(earlier);
            var start = new ProcessStartInfo(_pgbench,
                [
                    "--host", server.Host!, "--port", $"{server.Port}", "--username", server.Username!, "--no-vacuum",
                    "--protocol=prepared", "--client=1", $"--time={seconds}", $"--file={Script}",
                    "--log", $"--log-prefix={Path.Combine(_folder, "log")}", _database.Name,
                ])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            start.Environment["PGPASSWORD"] = server.Password;
            return start;
        }
    });

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    private string Script => Path.Combine(_folder, "insert.sql");
}
