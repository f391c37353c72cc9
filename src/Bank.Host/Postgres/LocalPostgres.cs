using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text.Json;
using Npgsql;
using Orleans.EventSourcing.Postgres.Schema;

namespace Bank.Host.Postgres;

/// <summary>How a private cluster differs from the product's; the defaults are the product's.</summary>
public sealed record LocalPostgresOptions
{
    /// <summary>Server settings, as <c>-c name=value</c>. Nothing that concerns durability is set by default.</summary>
    public IReadOnlyDictionary<string, string> Settings { get; init; } = new Dictionary<string, string>();

    /// <summary>Whether the files of a new cluster are flushed to disk; a cluster that is thrown away need not.</summary>
    public bool FlushNewCluster { get; init; } = true;
}

/// <summary>A PostgreSQL cluster of our own in a data directory, on a port of loopback, with passwords that one user can read.</summary>
/// <remarks>
/// In the directory: <c>postgres/</c> (the cluster), <c>postgres.json</c> (port and passwords, mode 0600). Processes that
/// use one directory at the same time share the server through a <see cref="PostgresLease"/>.
/// </remarks>
public sealed class LocalPostgres
{
    /// <summary>Enough for the processes of a cluster on one machine, each with pools of its own.</summary>
    internal const int MaxConnections = 300;

    /// <summary>The one database.</summary>
    public const string Database = "bank";

    // An eighth of the memory, which others here need too, up to what holds the indexes of some thirty million events; from the server's
    // default upwards.
    private static readonly long SharedBuffers =
        Math.Clamp(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 8, 128L << 20, 2L << 30);

    // A call that appends hundreds of events takes and gives back a few megabytes, which glibc would each time have from the kernel anew,
    // page by page. So each of the server's processes keeps up to 16 MB.
    private static readonly string[] MemoryKept =
        ["MALLOC_TOP_PAD_=1048576", "MALLOC_TRIM_THRESHOLD_=16777216", "MALLOC_MMAP_THRESHOLD_=16777216"];

    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(50);

    private readonly string directory;
    private readonly string cluster;
    private readonly PostgresPrograms programs;
    private readonly LocalPostgresOptions options;
    private readonly TimeProvider time;
    private readonly ServerUser user = ServerUser.Current;
    private Access access;

    private LocalPostgres(
        string directory, PostgresPrograms programs, LocalPostgresOptions options, TimeProvider time, Access access)
    {
        this.directory = directory;
        this.programs = programs;
        this.options = options;
        this.time = time;
        this.access = access;
        cluster = ClusterOf(directory);
    }

    private sealed record Access(int Port, string SuperuserPassword, string OwnerPassword, string AppPassword);

    /// <summary>For what the owner does: migrations, and questions that <c>bank_app</c> may not ask.</summary>
    public string OwnerConnectionString => ConnectionString(Roles.Owner, access.OwnerPassword, Database);

    /// <summary>What the system connects with.</summary>
    public string AppConnectionString => ConnectionString(Roles.App, access.AppPassword, Database);

    /// <summary>For the making of databases and for tests.</summary>
    public string SuperuserConnectionString => ConnectionString("postgres", access.SuperuserPassword, "postgres");

    /// <summary>The port on 127.0.0.1.</summary>
    public int Port => access.Port;

    /// <summary>Where the server writes its log.</summary>
    public string LogFile => Path.Combine(cluster, "server.log");

    /// <summary>The programs that this cluster is run with.</summary>
    public PostgresPrograms Programs => programs;

    /// <summary>Whether the directory holds a cluster.</summary>
    public static bool Exists(string directory) => File.Exists(Path.Combine(ClusterOf(directory), "PG_VERSION"));

    /// <summary>Whether a connection string leads to the server of that directory.</summary>
    public static bool Serves(string directory, string connectionString)
    {
        var target = new NpgsqlConnectionStringBuilder(connectionString);
        return Exists(directory) && target.Host == "127.0.0.1" && ReadAccess(directory)?.Port == target.Port;
    }

    /// <summary>The cluster of a data directory, made by <see cref="StartAsync"/> when there is none yet.</summary>
    /// <exception cref="CommandException">No programs fit, or the directory cannot be used.</exception>
    public static async Task<LocalPostgres> AtAsync(
        string directory, CancellationToken cancellation, LocalPostgresOptions? options = null, TimeProvider? time = null)
    {
        directory = Path.GetFullPath(directory);
        var programs = Fitting(directory, await PostgresPrograms.FindAsync(cancellation));
        try
        {
            Directory.CreateDirectory(directory);
            var access = ReadAccess(directory);
            if (access is null)
            {
                if (Exists(directory))
                    throw new CommandException(
                        ExitCode.DataDirectoryUnusable,
                        $"{AccessFileOf(directory)} is missing, and with it the passwords of the database in {directory}.");
                access = new(0, NewPassword(), NewPassword(), NewPassword());
                WriteAccess(directory, access);
            }

            return new(directory, programs, options ?? new(), time ?? TimeProvider.System, access);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException)
        {
            throw new CommandException(ExitCode.DataDirectoryUnusable, $"The data directory {directory} cannot be used: {e.Message}", e);
        }
    }

    /// <summary>The server's process; null when none runs on this cluster, whatever a left-over pid file says.</summary>
    public static int? ProcessOf(string directory) => ReadPidFile(ClusterOf(Path.GetFullPath(directory))) is { } found ? found.Pid : null;

    /// <inheritdoc cref="ProcessOf"/>
    public int? ProcessId => ReadPidFile(cluster)?.Pid;

    /// <summary>
    /// Starts the server and waits until it answers; makes cluster, roles and database where they are missing. Does nothing but look when
    /// the server is running.
    /// </summary>
    /// <param name="keepPort">Whether the remembered port is the only one that will do, because somebody is connected to it.</param>
    /// <param name="cancellation">Gives up waiting.</param>
    /// <exception cref="CommandException">It does not start; the message says why.</exception>
    public async Task StartAsync(CancellationToken cancellation, bool keepPort = false)
    {
        // Two processes that start one cluster would both write its pid file's place; the second finds it running.
        using var turn = await FileLock.ExclusiveAsync(Path.Combine(directory, "postgres.lock"), time, cancellation);
        if (!Exists(directory))
            await InitialiseAsync();

        if (ReadPidFile(cluster) is { Port: > 0 } running)
            Remember(running.Port);
        else
            await LaunchAsync(keepPort, cancellation);

        await EnsureDatabaseAsync(cancellation);
    }

    /// <summary>Ends the server: open transactions are rolled back, everything is on disk.</summary>
    public Task StopAsync(CancellationToken cancellation) => StopAsync("fast", cancellation);

    /// <summary>Ends the server without a checkpoint, as a crash would; the next start recovers.</summary>
    public Task StopImmediatelyAsync(CancellationToken cancellation) => StopAsync("immediate", cancellation);

    /// <summary>kill -9 of the server and all its children, as a machine that loses power would.</summary>
    public async Task KillAsync(CancellationToken cancellation)
    {
        if (ProcessId is not { } server)
            return;

        foreach (var process in ChildrenOf(server).Prepend(server).ToList())
            Signals.Send(process, Signals.Kill);
        while (ProcessId is not null)
            await Task.Delay(PollInterval, time, cancellation);
    }

    private async Task StopAsync(string mode, CancellationToken cancellation)
    {
        if (ProcessId is null)
            return;

        var stopped = await user.RunAsync(
            programs["pg_ctl"], ["stop", "--pgdata", cluster, "--mode", mode, "--wait", "--timeout", "120"], cancellation);
        if (!stopped.Succeeded && ProcessId is not null)
            throw new CommandException(ExitCode.PostgresFailed, $"PostgreSQL in {directory} does not stop: {stopped.Output}");
    }

    private static PostgresPrograms Fitting(string directory, IReadOnlyList<PostgresPrograms> installed)
    {
        const int needed = Migrator.MinimumServerVersion;
        var found = installed.Count == 0 ? "none" : string.Join(", ", installed.Select(programs => programs.MajorVersion));
        if (Exists(directory))
        {
            var version = File.ReadAllText(Path.Combine(ClusterOf(directory), "PG_VERSION")).Trim();
            return installed.FirstOrDefault(programs => $"{programs.MajorVersion}" == version)
                ?? throw new CommandException(
                    ExitCode.DataDirectoryOfAnotherVersion,
                    $"The data directory {directory} was made by PostgreSQL {version}, whose programs are not on this machine " +
                    $"(installed: {found}). Install PostgreSQL {version}, or set BANK_DATA_DIR to another directory.");
        }

        return installed.FirstOrDefault(programs => programs.MajorVersion >= needed)
            ?? throw new CommandException(
                ExitCode.PostgresMissing, $"PostgreSQL {needed} or newer is not installed (installed: {found}).");
    }

    private async Task InitialiseAsync()
    {
        // Two seconds that are not interrupted: half a cluster is of no use, and a killed initdb leaves its password file.
        var cancellation = CancellationToken.None;

        // The cluster gets its name when it is whole: a process that is killed while making it leaves nothing that looks like one.
        var unfinished = cluster + ".new";
        if (Directory.Exists(unfinished))
            Directory.Delete(unfinished, recursive: true);
        Directory.CreateDirectory(unfinished, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (user.DropsTo is { } owner)
        {
            var given = await ChildProcess.RunAsync("chown", [owner, unfinished], cancellation);
            if (!given.Succeeded || !(await user.RunAsync("test", ["-w", unfinished], cancellation)).Succeeded)
                throw new CommandException(
                    ExitCode.DataDirectoryUnusable,
                    $"PostgreSQL must not run as root, so it runs as the user {owner}, who cannot reach {directory}. Set BANK_DATA_DIR " +
                    $"to a directory whose parents everyone may enter, or run ./bank as another user. {given.Output}".TrimEnd());
        }

        // initdb takes the password from a file only; this one lives as long as initdb does, in the hands of the server's user.
        const string script = """
            umask 077; file=$(mktemp) || exit; trap 'rm -f "$file"' EXIT; cat >"$file"; "$@" --pwfile="$file"
            """;
        string[] initdb =
        [
            programs["initdb"], "--pgdata", unfinished, "--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
            "--data-checksums", .. options.FlushNewCluster ? (string[])[] : ["--no-sync"],
        ];
        var made = await user.RunAsync("/bin/sh", ["-c", script, "sh", .. initdb], cancellation, access.SuperuserPassword);
        if (!made.Succeeded)
            throw new CommandException(ExitCode.PostgresFailed, $"initdb in {directory} failed: {made.Output}");
        Directory.Move(unfinished, cluster);
    }

    private async Task LaunchAsync(bool keepPort, CancellationToken cancellation)
    {
        for (var attempt = 1; ; attempt++)
        {
            // A pid file whose number is somebody else's by now, as often in a container, would keep the server from starting.
            File.Delete(Path.Combine(cluster, "postmaster.pid"));
            if (!keepPort)
                Remember(Ports.PreferredOrFree(access.Port));

            var settings = new Dictionary<string, string>
            {
                ["shared_buffers"] = $"{SharedBuffers >> 20}MB",
                // Each checkpoint costs full pages of random indexes; the server's default is one per three quarters of a million events.
                ["max_wal_size"] = "2GB",
            };
            foreach (var (name, value) in options.Settings)
                settings[name] = value;
            settings["max_connections"] = $"{MaxConnections}";
            settings["listen_addresses"] = "127.0.0.1";
            settings["port"] = access.Port.ToString(CultureInfo.InvariantCulture);
            settings["unix_socket_directories"] = "";
            // pg_ctl puts the server into a session of its own, so that a terminal's Ctrl-C does not reach it before the host has drained.
            var started = await user.RunAsync(
                "env",
                [
                    .. MemoryKept, programs["pg_ctl"], "start", "--pgdata", cluster, "--log", LogFile, "--wait", "--timeout", "600",
                    "--options", string.Join(' ', settings.Select(setting => $"-c {setting.Key}='{setting.Value}'")),
                ],
                cancellation);
            if (started.Succeeded)
                return;

            // Children of a killed server hold its shared memory for a moment; and a free port may be taken before the server has it.
            var log = LastLines(LogFile);
            var passes = log.Contains("still in use", StringComparison.Ordinal) || !Ports.IsFree(IPAddress.Loopback, access.Port);
            if (attempt >= 20 || !passes)
                throw new CommandException(ExitCode.PostgresFailed, $"PostgreSQL in {directory} does not start:\n{log}");
            await Task.Delay(TimeSpan.FromMilliseconds(250), time, cancellation);
        }
    }

    private async Task EnsureDatabaseAsync(CancellationToken cancellation)
    {
        await using var superuser = NpgsqlDataSource.Create(SuperuserConnectionString + ";Pooling=false");
        await using var connection = await superuser.OpenConnectionAsync(cancellation);
        await Roles.EnsureAsync(connection, access.OwnerPassword, access.AppPassword, cancellation);
        await using var exists = new NpgsqlCommand("SELECT 1 FROM pg_database WHERE datname = $1", connection)
        {
            Parameters = { new() { Value = Database } },
        };
        if (await exists.ExecuteScalarAsync(cancellation) is not null)
            return;

        await using var create = new NpgsqlCommand($"CREATE DATABASE {Database} OWNER {Roles.Owner}", connection);
        await create.ExecuteNonQueryAsync(cancellation);
    }

    private string ConnectionString(string role, string password, string database) =>
        new NpgsqlConnectionStringBuilder
        {
            Host = "127.0.0.1",
            Port = access.Port,
            Database = database,
            Username = role,
            Password = password,
        }.ConnectionString;

    private void Remember(int port)
    {
        if (port == access.Port)
            return;
        access = access with { Port = port };
        WriteAccess(directory, access);
    }

    private static string ClusterOf(string directory) => Path.Combine(directory, "postgres");

    private static string AccessFileOf(string directory) => Path.Combine(directory, "postgres.json");

    private static Access? ReadAccess(string directory) =>
        File.Exists(AccessFileOf(directory)) ? JsonSerializer.Deserialize<Access>(File.ReadAllText(AccessFileOf(directory))) : null;

    private static void WriteAccess(string directory, Access access)
    {
        // Written aside and renamed: a process that is killed while writing must not cost the passwords.
        var aside = AccessFileOf(directory) + ".new";
        File.Delete(aside);
        using (var file = new FileStream(
            aside,
            new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            }))
        {
            JsonSerializer.Serialize(file, access);
            file.Flush(flushToDisk: true);
        }

        File.Move(aside, AccessFileOf(directory), overwrite: true);
    }

    private static string NewPassword() => RandomNumberGenerator.GetHexString(40, lowercase: true);

    private static (int Pid, int Port)? ReadPidFile(string cluster)
    {
        string[] lines;
        try
        {
            lines = File.ReadAllLines(Path.Combine(cluster, "postmaster.pid"));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }

        if (lines.Length == 0 || !int.TryParse(lines[0], out var pid) || !IsServerOf(cluster, pid))
            return null;
        return (pid, lines.Length > 3 && int.TryParse(lines[3], out var port) ? port : 0);
    }

    // After kill -9 the pid file stays, and its number may be anyone's by now: a server of ours works in the cluster's directory.
    private static bool IsServerOf(string cluster, int pid)
    {
        if (!OperatingSystem.IsLinux())
            return Signals.Send(pid, 0);
        try
        {
            return File.ResolveLinkTarget($"/proc/{pid}/cwd", returnFinalTarget: false)?.FullName == RealPath(cluster);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Gone while we looked, or the process of another user, which is no server of ours.
            return false;
        }
    }

    private static string RealPath(string path)
    {
        var parent = Path.GetDirectoryName(path);
        var resolved = parent is null ? path : Path.Combine(RealPath(parent), Path.GetFileName(path));
        return new DirectoryInfo(resolved).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? resolved;
    }

    private static IEnumerable<int> ChildrenOf(int parent)
    {
        foreach (var entry in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(entry), out var pid))
                continue;

            string stat;
            try
            {
                stat = File.ReadAllText($"{entry}/stat");
            }
            catch (IOException)
            {
                continue; // ended while we looked
            }

            // "pid (name) state ppid ...", and the name may hold anything.
            if (stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1] == parent.ToString(CultureInfo.InvariantCulture))
                yield return pid;
        }
    }

    private static string LastLines(string file) =>
        File.Exists(file) ? string.Join('\n', File.ReadLines(file).TakeLast(5)) : "(it wrote no log)";
}
