using System.Diagnostics;

namespace Bank.Host.Postgres;

/// <summary>Installs PostgreSQL's programs with the system's package manager.</summary>
internal static class PostgresInstaller
{
    // Debian's package makes and starts a cluster of its own on port 5432 unless told not to before the server package comes.
    private static readonly (string Manager, string Command)[] Commands =
    [
        ("apt-get",
            """
            export DEBIAN_FRONTEND=noninteractive
            apt-get update -q && apt-get install -y -q --no-install-recommends postgresql-common &&
            sed -i 's/^#\? *create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf &&
            apt-get install -y -q --no-install-recommends postgresql
            """),
        ("dnf", "dnf install -y postgresql-server"),
        ("apk", "apk add postgresql"),
        ("brew", "brew install postgresql@17"),
    ];

    /// <summary>Says what it will do and does it.</summary>
    /// <exception cref="CommandException">No package manager is known, it may not be used, or it failed.</exception>
    public static async Task InstallAsync(IProgress<string> progress, CancellationToken cancellation)
    {
        var (manager, command) = Commands.FirstOrDefault(known => ChildProcess.OnPath(known.Manager) is not null);
        if (manager is null)
            throw new CommandException(
                ExitCode.PostgresMissing,
                "PostgreSQL is not installed, and none of apt-get, dnf, apk and brew is here to do it. Install PostgreSQL 15 or newer.");

        var needsRoot = manager is not "brew" && !Environment.IsPrivilegedProcess;
        if (needsRoot && ChildProcess.OnPath("sudo") is null)
            throw new CommandException(
                ExitCode.PostgresMissing,
                $"PostgreSQL is not installed, and only root may install it here. Install PostgreSQL 15 or newer with {manager} as root.");

        progress.Report($"PostgreSQL is not installed; installing it with {manager}{(needsRoot ? " through sudo" : "")}");
        string[] shell = ["/bin/sh", "-c", command];
        string[] words = needsRoot ? ["sudo", .. shell] : shell;
        using var process = Process.Start(new ProcessStartInfo(words[0], words[1..]))!;
        await process.WaitForExitAsync(cancellation);
        if (process.ExitCode != 0)
            throw new CommandException(
                ExitCode.PostgresMissing, $"{manager} could not install PostgreSQL (it ended with {process.ExitCode}; see above).");
    }
}
