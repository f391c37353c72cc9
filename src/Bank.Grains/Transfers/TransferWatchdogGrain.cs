using Bank.Contracts;
using Microsoft.Extensions.Logging;

namespace Bank.Grains.Transfers;

/// <summary>
/// Resumes transfers whose driver died, wherever and however. One activation in the cluster, called by every silo's
/// <see cref="TransferWatchdog"/>, so that it comes back by itself whichever silos are left. Two of them at once, while membership changes,
/// do no harm: to resume is to run a driver again.
/// </summary>
[GrainType("transfer_watchdog")]
public sealed class TransferWatchdogGrain(
    TransferWatch watch, BankOptions options, TimeProvider time, ILogger<TransferWatchdogGrain> log) : Grain, ITransferWatchdogGrain
{
    /// <summary>Most transfers that are resumed side by side.</summary>
    public const int AtOnce = 256;

    private long? _lastRound;

    public async Task Watch()
    {
        // Every silo calls; one round per interval is enough.
        if (_lastRound is { } last && time.GetElapsedTime(last) < options.TransferWatchInterval * 0.9)
            return;
        var began = time.GetTimestamp();
        _lastRound = began;

        await watch.FollowAsync(CancellationToken.None);
        IReadOnlyList<OverdueTransfer> overdue;
        do
        {
            overdue = await watch.TakeOverdueAsync(AtOnce, CancellationToken.None);
            await Task.WhenAll(overdue.Select(ResumeAsync));
        }
        // After a crash there may be thousands. But a round that lasts longer than one may wait to be taken again would find some for ever,
        // and would never look at the journal.
        while (overdue.Count == AtOnce && time.GetElapsedTime(began) < options.TransferOverdueAfter);
    }

    // One that cannot be resumed must not keep the others waiting; it is taken again when it is overdue again.
    private async Task ResumeAsync(OverdueTransfer transfer)
    {
        log.TransferOverdue(transfer.TransferId, transfer.Phase, transfer.LastStepAt);
        try
        {
            await GrainFactory.GetGrain<ITransferGrain>(transfer.TransferId).Resume();
        }
        catch (Exception e)
        {
            log.TransferNotResumed(transfer.TransferId, e);
        }
    }
}
