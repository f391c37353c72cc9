using System.Diagnostics;
using System.Globalization;
using Bank.Host.Postgres;

namespace Bank.Host.Cluster;

/// <summary>How a member of the cluster is.</summary>
internal enum MemberState
{
    Starting,
    Ready,
    Unready,
    Frozen,
    Stopping,
    Dead,
}

/// <summary>What the commands are told of a member.</summary>
/// <param name="Role"><c>silo</c> or <c>gateway</c>.</param>
/// <param name="Index">From 1, among those of its role.</param>
/// <param name="Pid">Its process; null while it is dead.</param>
/// <param name="Address">Where it answers: a gateway everything, a silo for its health only.</param>
/// <param name="State">In lower case.</param>
/// <param name="ExitCode">How it ended; null while it runs.</param>
internal sealed record MemberReport(string Role, int Index, int? Pid, string Address, string State, int? ExitCode);

/// <summary>One process of the cluster: a role, and a place that it comes back to, so that it is known as its own successor.</summary>
internal sealed class Member(
    Role role, int index, string address, TimeSpan drainDelay, IReadOnlyDictionary<string, string?> environment, string logFile)
{
    private Process? _process;
    private bool _frozen;
    private bool _stopping;
    private bool _closed;
    private bool _wasReady;

    public Role Role => role;

    public int Index => index;

    public string Address => address;

    public string Name => $"{(role == Role.Silo ? "silo" : "gateway")} {index}";

    public bool IsRunning => _process is { HasExited: false };

    /// <summary>Whether it ended without being asked to.</summary>
    public bool IsLost => _process is { HasExited: true } && !_stopping;

    public MemberReport Report => new(
        role == Role.Silo ? "silo" : "gateway",
        index,
        IsRunning ? _process!.Id : null,
        address,
        State.ToString().ToLowerInvariant(),
        _process is { HasExited: true } ended ? ended.ExitCode : null);

    public MemberState State =>
        !IsRunning ? MemberState.Dead
        : _frozen ? MemberState.Frozen
        : _stopping || _closed ? MemberState.Stopping
        : IsReady ? MemberState.Ready
        : _wasReady ? MemberState.Unready
        : MemberState.Starting;

    /// <summary>What its own readiness said last.</summary>
    public bool IsReady
    {
        get;
        set
        {
            field = value;
            _wasReady |= value;
        }
    }

    public void Start()
    {
        if (IsRunning)
            throw new CommandException(ExitCode.AlreadyRunning, $"{Name} runs already (process {_process!.Id}).");
        if (_closed)
            throw new CommandException(ExitCode.NotRunning, "The cluster closes.");
        (_frozen, _stopping, IsReady, _wasReady) = (false, false, false, false);
        var start = new ProcessStartInfo(
            Environment.ProcessPath!,
            [
                typeof(Member).Assembly.Location, "up", "--role", role == Role.Silo ? "silo" : "gateway",
                "--drain-delay", drainDelay.TotalSeconds.ToString(CultureInfo.InvariantCulture), "--until-input-ends",
            ])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        var log = TextWriter.Synchronized(new StreamWriter(logFile, append: true) { AutoFlush = true });
        var process = new Process { StartInfo = start };
        process.OutputDataReceived += (_, line) => Write(line.Data);
        process.ErrorDataReceived += (_, line) => Write(line.Data);
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        _process = process;

        void Write(string? line)
        {
            try
            {
                log.WriteLine(line);
            }
            catch (IOException)
            {
                // A full disk costs lines of the log, and not the cluster, which this exception would end.
            }
        }
    }

    /// <summary>kill -9. A frozen process dies of it too.</summary>
    public void Kill()
    {
        Send(Signals.Kill);
        _process!.WaitForExit();
    }

    public void Freeze()
    {
        Send(Signals.Freeze);
        _frozen = true;
    }

    public void Thaw()
    {
        Send(Signals.Thaw);
        _frozen = false;
    }

    /// <summary>From now on it is not started again.</summary>
    public void Close() => _closed = true;

    /// <summary>Asks it to end, and waits until it has.</summary>
    public async Task StopAsync()
    {
        if (!IsRunning)
            return;
        if (_frozen)
            Thaw();
        _stopping = true;
        // It may have died just now, which is an end too.
        Signals.Send(_process!.Id, Signals.Terminate);
        await _process.WaitForExitAsync();
    }

    public Task WaitForEndAsync(CancellationToken cancellation) => _process?.WaitForExitAsync(cancellation) ?? Task.CompletedTask;

    private void Send(int signal)
    {
        if (!IsRunning || !Signals.Send(_process!.Id, signal))
            throw new CommandException(ExitCode.NotRunning, $"{Name} is dead; ./bank cluster start {Name} brings it back.");
    }
}
