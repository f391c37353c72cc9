using System.Diagnostics;
using Bank.Benchmarks.Measuring;
using Bank.Testing;
using Npgsql;

namespace Bank.Benchmarks.Parties;

/// <summary>Loads that last until PostgreSQL has completed checkpoints: after each, pages are written whole into the WAL again.</summary>
internal sealed class Checkpoints(UnshakenPostgres postgres) : IAsyncDisposable
{
    private readonly NpgsqlDataSource _superuser = NpgsqlDataSource.Create(postgres.Server.SuperuserConnectionString);

    /// <summary>Runs turns of a load until so many checkpoints were completed that it has brought about itself.</summary>
    /// <returns>Operations per second over all of the turns.</returns>
    public async Task<double> RateOverAsync(int checkpoints, LoadParty load, Comparison comparison, CancellationToken cancellation)
    {
        await using (var begin = _superuser.CreateCommand("CHECKPOINT"))
            await begin.ExecuteNonQueryAsync(cancellation);
        var last = await LastAsync(cancellation);
        var (operations, took) = (0L, TimeSpan.Zero);
        for (var passed = 0; ;)
        {
            comparison.Say($"{load.Name}: {passed} of {checkpoints} checkpoints have passed");
            var began = Stopwatch.GetTimestamp();
            operations += (await load.LoadAsync(comparison.Pace.Round, cancellation)).Latencies.Count;
            took += Stopwatch.GetElapsedTime(began);
            var now = await LastAsync(cancellation);
            if (now != last)
                passed++;
            last = now;
            if (passed >= checkpoints)
                return operations / took.TotalSeconds;
        }
    }

    public ValueTask DisposeAsync() => _superuser.DisposeAsync();

    private async Task<string> LastAsync(CancellationToken cancellation)
    {
        await using var command = _superuser.CreateCommand("SELECT checkpoint_lsn::text FROM pg_control_checkpoint()");
        return (string)(await command.ExecuteScalarAsync(cancellation))!;
    }
}
