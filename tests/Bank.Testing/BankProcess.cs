using System.Collections.Concurrent;
using System.Diagnostics;
using Bank.Host.Postgres;

namespace Bank.Testing;

/// <summary>The product as a process of its own: <c>./bank</c> without the launcher.</summary>
public sealed class BankProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private readonly Process process;
    private readonly ConcurrentQueue<string> lines = new();
    private readonly Task output;

    /// <param name="process">Has been started with its streams redirected.</param>
    /// <param name="address">Where it will answer, where that is known beforehand.</param>
    public BankProcess(Process process, Uri? address = null)
    {
        this.process = process;
        Address = address ?? Address;
        output = Task.WhenAll(ReadAsync(process.StandardOutput), ReadAsync(process.StandardError));
    }

    /// <summary>Its process.</summary>
    public int Id => process.Id;

    /// <summary>Whether it has ended.</summary>
    public bool HasEnded => process.HasExited;

    /// <summary>Everything that it has printed so far, on both streams.</summary>
    public string Output => string.Join('\n', lines);

    /// <summary>Where it answers, as it said when it had opened.</summary>
    public Uri Address { get; private set; } = new("http://unknown");

    /// <summary>Starts a command.</summary>
    /// <param name="arguments">As after <c>./bank</c>.</param>
    /// <param name="environment">What differs from this process's environment; null removes a variable.</param>
    /// <param name="program">Another program that lies beside the tests.</param>
    /// <param name="under">A command that ends by becoming the one that it is given.</param>
    public static BankProcess Start(
        IEnumerable<string> arguments,
        IReadOnlyDictionary<string, string?> environment,
        string program = "Bank.Host.dll",
        IReadOnlyList<string>? under = null)
    {
        string[] command = [.. under ?? [], "dotnet", Path.Combine(AppContext.BaseDirectory, program), .. arguments];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // Whatever the developer has set in the shell is not what the test is about.
        foreach (var name in (string[])["BANK_DATA_DIR", "ConnectionStrings__Bank", "ConnectionStrings__BankOwner"])
            start.Environment.Remove(name);
        start.Environment["ASPNETCORE_URLS"] = "http://127.0.0.1:0";
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        return new(Process.Start(start)!);
    }

    /// <summary>Runs a command to its end.</summary>
    /// <returns>Exit code and everything that it printed.</returns>
    public static async Task<(int ExitCode, string Output)> RunAsync(
        IEnumerable<string> arguments, IReadOnlyDictionary<string, string?> environment, string input = "", TimeSpan? within = null)
    {
        await using var command = Start(arguments, environment);
        await command.process.StandardInput.WriteAsync(input);
        command.process.StandardInput.Close();
        return (await command.EndAsync(within), command.Output);
    }

    /// <summary>Waits until <c>up</c>, of any role, has said that it is open, and takes its address from that.</summary>
    public async Task<BankProcess> OpenAsync()
    {
        const string opened = " is open: ";
        var line = await SaysAsync(opened);
        Address = new(line[(line.IndexOf(opened, StringComparison.Ordinal) + opened.Length)..].Split(' ')[0]);
        return this;
    }

    /// <summary>Waits until it has printed a line with this in it.</summary>
    /// <returns>The first such line.</returns>
    /// <exception cref="InvalidOperationException">It has ended without.</exception>
    public async Task<string> SaysAsync(string text)
    {
        await Eventually.UntilAsync(
            $"the process says \"{text}\"",
            () => Task.FromResult((process.HasExited || Line() is not null, (object?)Output)),
            Patience);
        // What it said last may still be on its way.
        if (process.HasExited)
            await output;
        return Line() ?? throw new InvalidOperationException($"It ended with {process.ExitCode}:\n{Output}");

        string? Line() => lines.FirstOrDefault(line => line.Contains(text, StringComparison.Ordinal));
    }

    /// <summary>Writes a line to its standard input.</summary>
    public Task TellAsync(string line) => process.StandardInput.WriteLineAsync(line);

    /// <summary>Closes its standard input, as the end of whoever started it does.</summary>
    public void EndInput() => process.StandardInput.Close();

    /// <summary>Asks it to end, as <c>kill</c> and every supervisor do.</summary>
    public void Terminate() => Signals.Send(process.Id, Signals.Terminate);

    /// <summary>Asks it to end, as Ctrl-C does.</summary>
    public void Interrupt() => Signals.Send(process.Id, Signals.Interrupt);

    /// <summary>kill -9.</summary>
    public void Kill() => Signals.Send(process.Id, Signals.Kill);

    /// <summary>Waits for its end.</summary>
    /// <returns>The exit code.</returns>
    /// <param name="within">How long at most.</param>
    public async Task<int> EndAsync(TimeSpan? within = null)
    {
        var patience = within ?? Patience;
        using var deadline = new CancellationTokenSource(patience);
        try
        {
            await process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"Waited {patience.TotalSeconds} s for the process to end; it has printed:\n{Output}");
        }

        await output;
        return process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
        {
            process.Kill();
            await process.WaitForExitAsync();
        }

        process.Dispose();
    }

    private async Task ReadAsync(StreamReader reader)
    {
        while (await reader.ReadLineAsync() is { } line)
            lines.Enqueue(line);
    }
}
