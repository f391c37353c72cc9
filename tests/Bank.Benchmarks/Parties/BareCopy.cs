using System.Diagnostics;
using Bank.Benchmarks.Measuring;
using Bank.Testing;
using Npgsql;
using NpgsqlTypes;

namespace Bank.Benchmarks.Parties;

/// <summary>
/// One client that copies finished rows, one for each account in turn, into a table with the journal's columns and indexes and nothing
/// else: no look-up, no hash, no order kept, nobody answered. The ceiling of whatever keeps these rows in PostgreSQL.
/// </summary>
internal sealed class BareCopy : IAsyncDisposable
{
    private readonly NpgsqlDataSource _owner;
    private readonly string[] _streams;
    private long _position;

    private BareCopy(TestDatabase database, int streams)
    {
        _owner = NpgsqlDataSource.Create(database.Owner);
        _streams = [.. Enumerable.Range(0, streams).Select(_ => $"account-{Guid.NewGuid()}")];
    }

    public static async Task<BareCopy> PrepareAsync(UnshakenPostgres postgres, Pace pace, CancellationToken cancellation)
    {
        var copy = new BareCopy(await postgres.CreateDatabaseAsync(), pace.Accounts);
        await using var create = copy._owner.CreateCommand("CREATE TABLE journal.copied (LIKE journal.events INCLUDING INDEXES)");
        await create.ExecuteNonQueryAsync(cancellation);
        return copy;
    }

    /// <summary>So many rows in each transaction.</summary>
    public Party Rows(string name, int rows) => new(name, "appends/s", async (time, cancellation) =>
    {
        await using var connection = await _owner.OpenConnectionAsync(cancellation);
        var (began, copied) = (Stopwatch.GetTimestamp(), 0L);
        for (; Stopwatch.GetElapsedTime(began) < time; copied += rows)
            await CopyAsync(connection, rows, cancellation);
        return copied / Stopwatch.GetElapsedTime(began).TotalSeconds;
    });

    public ValueTask DisposeAsync() => _owner.DisposeAsync();

    private async Task CopyAsync(NpgsqlConnection connection, int rows, CancellationToken cancellation)
    {
        await using var import = await connection.BeginBinaryImportAsync("COPY journal.copied FROM STDIN (FORMAT binary)", cancellation);
        for (var row = 0; row < rows; row++)
        {
            var (version, stream) = Math.DivRem(_position, _streams.Length);
            _position++;
            await import.StartRowAsync(cancellation);
            await import.WriteAsync(_position, cancellation);
            await import.WriteAsync(Guid.CreateVersion7(), cancellation);
            await import.WriteAsync(_streams[stream], cancellation);
            await import.WriteAsync(version + 1, cancellation);
            await import.WriteAsync("MoneyDeposited", cancellation);
            await import.WriteAsync((short)1, cancellation);
            await import.WriteAsync((short)(stream % 256), cancellation);
            await import.WriteAsync(Payload.DataBytes, NpgsqlDbType.Jsonb, cancellation);
            await import.WriteAsync(Payload.MetadataBytes, NpgsqlDbType.Jsonb, cancellation);
            await import.WriteAsync(DateTime.UtcNow, cancellation);
        }

        await import.CompleteAsync(cancellation);
    }
}
