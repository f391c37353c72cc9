using System.Runtime.InteropServices;

namespace Bank.Host.Postgres;

/// <summary>What .NET has no call for: a signal other than SIGKILL, and one to a process that is no child.</summary>
internal static class Signals
{
    public const int Interrupt = 2;
    public const int Kill = 9;
    public const int Terminate = 15;

    // The two that differ between the systems that the host runs on.
    public static readonly int Freeze = OperatingSystem.IsMacOS() ? 17 : 19;
    public static readonly int Thaw = OperatingSystem.IsMacOS() ? 19 : 18;

    /// <summary>Sends a signal; false when there is no such process.</summary>
    public static bool Send(int processId, int signal) => kill(processId, signal) == 0;

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int kill(int processId, int signal);
}
