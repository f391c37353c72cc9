using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Bank.Gateway;

/// <summary>
/// Notices that this process has stood still: stopped by a signal, or with its machine, by what the clock on the wall says then. What its
/// sockets have taken in meanwhile may be commands that their clients have given up since, asked for again at another gateway, and been
/// refused there; to do them now would make that refusal a lie. The gateway is not ready then.
/// </summary>
internal sealed class Standstill : IHealthCheck, IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(0.5);

    // Shorter than clients wait, longer than a busy machine takes to let a timer's thread run.
    private static readonly TimeSpan Noticed = TimeSpan.FromSeconds(2);

    // Longer than it takes to read what lies in the sockets.
    private static readonly TimeSpan Aftermath = TimeSpan.FromSeconds(1);

    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private long _tickedAt;
    private long _tickedAtUtc;
    private long _endedAt;

    public Standstill(TimeProvider time)
    {
        _time = time;
        (_tickedAt, _tickedAtUtc) = (time.GetTimestamp(), time.GetUtcNow().UtcTicks);
        _endedAt = _tickedAt - (long)(Aftermath.TotalSeconds * time.TimestampFrequency);
        _timer = time.CreateTimer(_ => Tick(), null, Interval, Interval);
    }

    /// <summary>Whether it has stood still until now, or until a moment ago.</summary>
    public bool HasJustEnded =>
        IsLate || _time.GetElapsedTime(Volatile.Read(ref _endedAt)) < Aftermath;

    // While a machine sleeps, timestamps do not grow.
    private bool IsLate =>
        _time.GetElapsedTime(Volatile.Read(ref _tickedAt)) > Noticed
            || _time.GetUtcNow().UtcTicks - Volatile.Read(ref _tickedAtUtc) > Noticed.Ticks;

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(HasJustEnded ? HealthCheckResult.Unhealthy("stood still until a moment ago") : HealthCheckResult.Healthy());

    public void Dispose() => _timer.Dispose();

    private void Tick()
    {
        // First this, then that: whoever looks in between must see one of them.
        if (IsLate)
            Volatile.Write(ref _endedAt, _time.GetTimestamp());
        Volatile.Write(ref _tickedAtUtc, _time.GetUtcNow().UtcTicks);
        Volatile.Write(ref _tickedAt, _time.GetTimestamp());
    }
}
