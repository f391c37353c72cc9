using System.Text.Json;

namespace Bank.Host.Commands;

/// <summary>What a host on the private database leaves in its data directory, for the other commands and for its successor.</summary>
/// <param name="ProcessId">Its process; alive only while <c>host.lock</c> is held.</param>
/// <param name="Address">Where it answers.</param>
/// <param name="SiloPort">The next host takes it too, so that Orleans and the journal know it as a successor.</param>
/// <param name="GatewayPort">Likewise.</param>
internal sealed record RunningHost(int ProcessId, string Address, int SiloPort, int GatewayPort)
{
    private const string FileName = "host.json";

    /// <summary>Takes the data directory for the one process that it has, and says so in it; null when there is one.</summary>
    public static async Task<IDisposable?> TryTakeAsync(HostSettings settings, CancellationToken cancellation)
    {
        var directory = settings.DataDirectory;
        using var turn = await TurnAsync(directory, cancellation);
        if (FileLock.TryExclusive(LockOf(directory)) is not { } taken)
            return null;
        ((Last(directory) ?? new(0, "", 0, 0)) with { ProcessId = Environment.ProcessId, Address = settings.Address }).Write(directory);
        return taken;
    }

    /// <summary>The host that runs now, be it open already or not.</summary>
    public static async Task<RunningHost?> FindAsync(string directory, CancellationToken cancellation)
    {
        if (!File.Exists(LockOf(directory)))
            return null;
        using var turn = await TurnAsync(directory, cancellation);
        using var free = FileLock.TryExclusive(LockOf(directory));
        return free is null ? Last(directory) : null;
    }

    /// <summary>The host that runs or ran last.</summary>
    public static RunningHost? Last(string directory)
    {
        var file = Path.Combine(directory, FileName);
        return File.Exists(file) ? JsonSerializer.Deserialize<RunningHost>(File.ReadAllText(file), HostSettings.Json) : null;
    }

    public void Write(string directory)
    {
        // Renamed into place: another process may read it at any time.
        var aside = Path.Combine(directory, FileName + ".new");
        File.WriteAllText(aside, JsonSerializer.Serialize(this, HostSettings.Json));
        File.Move(aside, Path.Combine(directory, FileName), overwrite: true);
    }

    // Between taking the lock and saying who has it the record is the last one's, and who only looks has the lock for a moment.
    private static Task<IDisposable> TurnAsync(string directory, CancellationToken cancellation) =>
        FileLock.ExclusiveAsync(Path.Combine(directory, "host.turn"), TimeProvider.System, cancellation);

    private static string LockOf(string directory) => Path.Combine(directory, "host.lock");
}
