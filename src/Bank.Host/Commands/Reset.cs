using Bank.Host.Postgres;

namespace Bank.Host.Commands;

/// <summary><c>./bank reset</c>: removes the data directory, after asking.</summary>
internal static class Reset
{
    public static async Task<ExitCode> RunAsync(HostSettings settings, bool yes, IProgress<string> progress, CancellationToken stop)
    {
        var directory = settings.DataDirectory;
        if (settings.ExternalApp is not null)
            throw new CommandException(
                ExitCode.Failed, "ConnectionStrings__Bank is set, and ./bank reset removes only the private database of a data directory.");
        if (!File.Exists(Path.Combine(directory, "postgres.json")))
        {
            progress.Report($"there is nothing in {directory}");
            return ExitCode.Done;
        }

        using (var taken = await RunningHost.TryTakeAsync(settings, stop))
        {
            if (taken is null)
                throw new CommandException(ExitCode.AlreadyRunning, $"A bank runs on {directory}. Stop it first: ./bank stop");
            if (!yes && !Agreed(directory))
                throw new CommandException(ExitCode.Failed, "Nothing was removed.");
            if (LocalPostgres.ProcessOf(directory) is not null)
                await (await LocalPostgres.AtAsync(directory, stop)).StopAsync(stop);
            // Only what is ours: the directory may be one that the user has other things in.
            foreach (var cluster in Directory.GetDirectories(directory).Where(IsOurs))
                Directory.Delete(cluster, recursive: true);
            foreach (var file in Directory.GetFiles(directory).Where(IsOurs))
                File.Delete(file);
        }

        if (!Directory.EnumerateFileSystemEntries(directory).Any())
            Directory.Delete(directory);
        progress.Report($"removed the bank in {directory}");
        return ExitCode.Done;
    }

    private static bool IsOurs(string path) => Path.GetFileName(path) is
        "postgres" or "postgres.new" or "postgres.json" or "postgres.lock" or "postgres.users" or "host.json" or "host.lock"
            or "host.turn" or "cluster" or "cluster.sock";

    private static bool Agreed(string directory)
    {
        Console.Error.Write($"This removes every account and event in {directory}, for good. Type yes to go on: ");
        return Console.In.ReadLine()?.Trim() == "yes";
    }
}
