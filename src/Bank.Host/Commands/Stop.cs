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

        if (await RunningHost.FindAsync(settings.DataDirectory, stop) is { } running)
        {
            progress.Report($"stopping the bank on {running.Address} (process {running.ProcessId})");
            // It may have ended just now.
            if (!Signals.Send(running.ProcessId, Signals.Terminate) && await RunsAsync(settings.DataDirectory, running, stop))
                throw new CommandException(
                    ExitCode.Failed, $"Process {running.ProcessId} cannot be asked to end: it is another user's, or another container's.");
            await UntilEndedAsync(settings.DataDirectory, running, stop);
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

    /// <summary>Waits until that host has ended; another one may have its place by then.</summary>
    public static async Task UntilEndedAsync(string directory, RunningHost host, CancellationToken stop)
    {
        while (await RunsAsync(directory, host, stop))
            await Task.Delay(PollInterval, TimeProvider.System, stop);
    }

    private static async Task<bool> RunsAsync(string directory, RunningHost host, CancellationToken stop) =>
        (await RunningHost.FindAsync(directory, stop))?.ProcessId == host.ProcessId;
}
