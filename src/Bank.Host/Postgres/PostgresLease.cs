namespace Bank.Host.Postgres;

/// <summary>
/// The private server, for as long as somebody of any process uses it: the first starts it, the last stops it. A holder that was killed no
/// longer counts, so what it left running is found and used by the next.
/// </summary>
internal sealed class PostgresLease : IAsyncDisposable
{
    private readonly LocalPostgres postgres;
    private readonly string file;
    private readonly IDisposable use;

    private PostgresLease(LocalPostgres postgres, string file, IDisposable use)
    {
        this.postgres = postgres;
        this.file = file;
        this.use = use;
    }

    public static async Task<PostgresLease> TakeAsync(
        LocalPostgres postgres, string directory, TimeProvider time, CancellationToken cancellation)
    {
        var file = Path.Combine(directory, "postgres.users");
        var lease = new PostgresLease(postgres, file, await FileLock.SharedAsync(file, time, cancellation));
        try
        {
            await postgres.StartAsync(cancellation);
            return lease;
        }
        catch
        {
            await lease.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        use.Dispose();
        // Held while stopping, so that one who wants to begin waits and starts it anew.
        using var last = FileLock.TryExclusive(file);
        if (last is not null)
            await postgres.StopAsync(CancellationToken.None);
    }
}
