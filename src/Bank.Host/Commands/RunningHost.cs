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

    /// <summary>Takes the data directory for the one host that it has; null when there is one.</summary>
    public static IDisposable? TryTake(string directory) => FileLock.TryExclusive(LockOf(directory));

    /// <summary>The host that runs now.</summary>
    public static RunningHost? Find(string directory)
    {
        if (!File.Exists(LockOf(directory)))
            return null;
        using var taken = TryTake(directory);
        return taken is null ? Last(directory) : null;
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

    private static string LockOf(string directory) => Path.Combine(directory, "host.lock");
}
