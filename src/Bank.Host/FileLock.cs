namespace Bank.Host;

/// <summary>A lock between processes that goes with its holder, however it ends: .NET's file sharing is flock on Unix.</summary>
internal static class FileLock
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(50);

    /// <summary>Takes the lock for one holder; null when anybody holds it.</summary>
    public static IDisposable? TryExclusive(string file) => TryOpen(file, FileAccess.ReadWrite, FileShare.None);

    /// <summary>Takes the lock for one holder, waiting for whoever has it.</summary>
    public static Task<IDisposable> ExclusiveAsync(string file, TimeProvider time, CancellationToken cancellation) =>
        WaitAsync(() => TryExclusive(file), time, cancellation);

    /// <summary>Takes the lock beside others who share it, waiting for one who does not.</summary>
    public static Task<IDisposable> SharedAsync(string file, TimeProvider time, CancellationToken cancellation) =>
        WaitAsync(() => TryOpen(file, FileAccess.Read, FileShare.Read), time, cancellation);

    private static async Task<IDisposable> WaitAsync(Func<IDisposable?> attempt, TimeProvider time, CancellationToken cancellation)
    {
        while (true)
        {
            if (attempt() is { } taken)
                return taken;
            await Task.Delay(PollInterval, time, cancellation);
        }
    }

    private static FileStream? TryOpen(string file, FileAccess access, FileShare share)
    {
        try
        {
            return new(file, FileMode.OpenOrCreate, access, share);
        }
        catch (IOException e) when (e is not (DirectoryNotFoundException or FileNotFoundException or PathTooLongException))
        {
            return null;
        }
    }
}
