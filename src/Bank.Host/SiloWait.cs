using Orleans.Runtime;

namespace Bank.Host;

/// <summary>Lets a gateway wait for its first silo, and say so.</summary>
internal sealed class SiloWait(TimeProvider time, ILogger<SiloWait> log, WaitingRoom? room = null) : IClientConnectionRetryFilter
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private bool _said;

    public async Task<bool> ShouldRetryConnectionAttempt(Exception exception, CancellationToken cancellationToken)
    {
        if (!_said)
            Log.WaitsForSilo(log, exception.Message);
        _said = true;
        room?.Say($"waiting for a silo: {exception.Message}");
        await Task.Delay(Interval, time, cancellationToken);
        return true;
    }
}
