using Bank.Host.Postgres;

namespace Bank.Host.Commands;

/// <summary><c>./bank stop</c>: asks the host of the data directory to drain and end, and waits until it has.</summary>
internal static class Stop
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(50);

    public static async Task<ExitCode> RunAsync(HostSettings settings, IProgress<string> progress, CancellationToken stop)
    {
        if (settings.ExternalApp is not null)
            throw new CommandException(
                ExitCode.NotRunning, "ConnectionStrings__Bank is set, and such a bank has no data directory: end its process.");

        if (RunningHost.Find(settings.DataDirectory) is { } running)
        {
            progress.Report($"stopping the bank on {running.Address} (process {running.ProcessId})");
            Signals.Send(running.ProcessId, Signals.Terminate);
            while (RunningHost.Find(settings.DataDirectory) is not null)
                await Task.Delay(PollInterval, TimeProvider.System, stop);
        }
        else if (LocalPostgres.ProcessOf(settings.DataDirectory) is null)
        {
            progress.Report($"no bank runs on {settings.DataDirectory}");
            return ExitCode.Done;
        }

        // Left behind by a host that was killed; while another command uses it, that one stops it.
        if (LocalPostgres.ProcessOf(settings.DataDirectory) is not null)
        {
            var local = await LocalPostgres.AtAsync(settings.DataDirectory, stop);
            await (await PostgresLease.TakeAsync(local, settings.DataDirectory, TimeProvider.System, stop)).DisposeAsync();
        }

        progress.Report("stopped");
        return ExitCode.Done;
    }
}
