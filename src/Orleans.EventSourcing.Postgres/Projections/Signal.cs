using System.Threading.Channels;

namespace Orleans.EventSourcing.Postgres;

/// <summary>Wakes one worker: set any number of times before it looks, it looks once.</summary>
internal sealed class Signal(TimeProvider time)
{
    private readonly Channel<bool> _set = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });

    public void Set() => _set.Writer.TryWrite(true);

    /// <summary>Waits until it is set, or for so long; false where it was not set.</summary>
    public async Task<bool> WaitAsync(TimeSpan patience, CancellationToken stop)
    {
        if (patience == Timeout.InfiniteTimeSpan)
            return await _set.Reader.ReadAsync(stop).ConfigureAwait(false);
        using var expiry = new CancellationTokenSource(patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stop, expiry.Token);
        try
        {
            return await _set.Reader.ReadAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return false;
        }
    }
}
