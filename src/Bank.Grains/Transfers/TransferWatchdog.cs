using Bank.Contracts;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Bank.Grains.Transfers;

/// <summary>Keeps the watchdog's grain going from each silo, and this silo's counts of open transfers fresh.</summary>
public sealed class TransferWatchdog(
    IGrainFactory grains, TransferWatch watch, BankOptions options, TimeProvider time, ILogger<TransferWatchdog> log) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.TransferWatchInterval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                await TryAsync(() => grains.GetGrain<ITransferWatchdogGrain>(0).Watch(), stoppingToken);
                await TryAsync(() => watch.CountAsync(stoppingToken), stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The silo stops.
        }
    }

    private async Task TryAsync(Func<Task> act, CancellationToken stop)
    {
        try
        {
            await act();
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            // The database or the grain's silo is away, or something is wrong with the table: the next round tries again. Whatever it is,
            // it must not leave this service, or it would take the silo with it.
            log.WatchdogRoundFailed($"{e.GetType().Name}: {e.Message}");
        }
    }
}
