namespace Bank.Gateway;

/// <summary>
/// Notices that this process has stood still: stopped by a signal, or its machine with it. What its sockets have taken in meanwhile may
/// be commands that their clients have given up since, asked for again at another gateway, and been refused there; to do them now would
/// make that refusal a lie.
/// </summary>
internal sealed class Standstill : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(0.5);

    // Shorter than clients wait, longer than a busy machine takes to let a timer's thread run.
    private static readonly TimeSpan Noticed = TimeSpan.FromSeconds(2);

    // Longer than it takes to read what lies in the sockets.
    private static readonly TimeSpan Aftermath = TimeSpan.FromSeconds(1);

    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private long _tickedAt;
    private long _endedAt;

    public Standstill(TimeProvider time)
    {
        _time = time;
        _tickedAt = time.GetTimestamp();
        _endedAt = _tickedAt - (long)(Aftermath.TotalSeconds * time.TimestampFrequency);
        _timer = time.CreateTimer(_ => Tick(), null, Interval, Interval);
    }

    /// <summary>Whether it has stood still until now, or until a moment ago.</summary>
    public bool HasJustEnded =>
        _time.GetElapsedTime(Volatile.Read(ref _tickedAt)) > Noticed || _time.GetElapsedTime(Volatile.Read(ref _endedAt)) < Aftermath;

    public void Dispose() => _timer.Dispose();

    private void Tick()
    {
        // First this, then that: whoever looks in between must see one of them.
        if (_time.GetElapsedTime(_tickedAt) > Noticed)
            Volatile.Write(ref _endedAt, _time.GetTimestamp());
        Volatile.Write(ref _tickedAt, _time.GetTimestamp());
    }
}
