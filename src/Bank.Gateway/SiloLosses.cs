namespace Bank.Gateway;

/// <summary>
/// The news that a silo, or the way to one, has been lost. Nobody tells a client of Orleans which of its calls were on their way through
/// there, so each that waits is made again. And since others may hear of it later, and send a call the old way meanwhile, the news is
/// repeated for a while.
/// </summary>
public sealed class SiloLosses(TimeProvider time) : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Aftermath = TimeSpan.FromSeconds(30);

    private readonly Lock _gate = new();
    private CancellationTokenSource _next = new();
    private ITimer? _repeating;
    private long _lostAt;

    /// <summary>Is cancelled by the next news.</summary>
    public CancellationToken Next => Volatile.Read(ref _next).Token;

    /// <summary>One was lost.</summary>
    public void Announce()
    {
        lock (_gate)
        {
            _lostAt = time.GetTimestamp();
            _repeating ??= time.CreateTimer(_ => Repeat(), null, Interval, Interval);
        }

        Tell();
    }

    public void Dispose() => _repeating?.Dispose();

    private void Repeat()
    {
        lock (_gate)
        {
            if (time.GetElapsedTime(_lostAt) > Aftermath)
            {
                _repeating?.Dispose();
                _repeating = null;
            }
        }

        Tell();
    }

    // What was told is not disposed of: somebody may just be about to take its token, and it holds nothing that has to be freed.
    private void Tell() => Interlocked.Exchange(ref _next, new()).Cancel();
}
