using Bank.Testing;
using Npgsql;

namespace Bank.Benchmarks.Measuring;

/// <summary>What a load costs, whoever else is busy on the machine: processor time, memory that was allocated, bytes on disk.</summary>
internal sealed class Meter(UnshakenPostgres postgres, TestDatabase database) : IAsyncDisposable
{
    private const string Sizes =
        """
        SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint,
               (SELECT sum(pg_relation_size(c.oid))::bigint FROM pg_class c WHERE c.oid = to_regclass($1)),
               (SELECT sum(pg_indexes_size(c.oid))::bigint FROM pg_class c WHERE c.oid = to_regclass($1))
        """;

    private readonly NpgsqlDataSource _owner = NpgsqlDataSource.Create(database.Owner);

    private readonly record struct Reading(
        TimeSpan Host, TimeSpan Postgres, long Allocated, long Wal, long Heap, long Indexes);

    /// <summary>Runs the load and divides what it has cost by its operations.</summary>
    /// <param name="party">Whose load it is.</param>
    /// <param name="table">Where its rows go.</param>
    /// <param name="load">Runs, and says how many operations it were.</param>
    /// <param name="cancellation">Ends the run.</param>
    public async Task<IReadOnlyList<Sample>> MeasureAsync(
        string party, string table, Func<Task<long>> load, CancellationToken cancellation)
    {
        var before = await ReadAsync(table, cancellation);
        var operations = await load();
        var after = await ReadAsync(table, cancellation);
        return
        [
            new($"{party}, processor, callers and host", PerOperation((after.Host - before.Host).TotalMicroseconds), "us"),
            new($"{party}, processor, PostgreSQL", PerOperation((after.Postgres - before.Postgres).TotalMicroseconds), "us"),
            new($"{party}, allocated", PerOperation(after.Allocated - before.Allocated), "bytes"),
            new($"{party}, WAL", PerOperation(after.Wal - before.Wal), "bytes"),
            new($"{party}, heap", PerOperation(after.Heap - before.Heap), "bytes"),
            new($"{party}, indexes", PerOperation(after.Indexes - before.Indexes), "bytes"),
        ];

        double PerOperation(double total) => total / operations;
    }

    public ValueTask DisposeAsync() => _owner.DisposeAsync();

    private async Task<Reading> ReadAsync(string table, CancellationToken cancellation)
    {
        await using var command = _owner.CreateCommand(Sizes);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = table });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        return new(
            Environment.CpuUsage.TotalTime, ProcessorTime.OfFamily(postgres.Server.ProcessId!.Value), GC.GetTotalAllocatedBytes(),
            reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2));
    }
}
