using System.Collections.Concurrent;
using System.Diagnostics;
using Bank.Host.Postgres;

namespace Bank.Testing;

/// <summary>The product as a process of its own: <c>./bank</c> without the launcher.</summary>
public sealed class BankProcess : IAsyncDisposable
{
    private static readonly TimeSpan OpeningTakes = TimeSpan.FromSeconds(60);

    private readonly Process process;
    private readonly ConcurrentQueue<string> lines = new();
    private readonly Task output;

    private BankProcess(Process process)
    {
        this.process = process;
        output = Task.WhenAll(ReadAsync(process.StandardOutput), ReadAsync(process.StandardError));
    }

    /// <summary>Its process.</summary>
    public int Id => process.Id;

    /// <summary>Everything that it has printed so far, on both streams.</summary>
    public string Output => string.Join('\n', lines);

    /// <summary>Where it answers, as it said when it had opened.</summary>
    public Uri Address { get; private set; } = new("http://unknown");

    /// <summary>Starts a command.</summary>
    /// <param name="arguments">As after <c>./bank</c>.</param>
    /// <param name="environment">What differs from this process's environment; null removes a variable.</param>
    /// <param name="program">Another program that lies beside the tests.</param>
    public static BankProcess Start(
        IEnumerable<string> arguments, IReadOnlyDictionary<string, string?> environment, string program = "Bank.Host.dll")
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, program), .. arguments])
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
        IEnumerable<string> arguments, IReadOnlyDictionary<string, string?> environment, string input = "")
    {
        await using var command = Start(arguments, environment);
        await command.process.StandardInput.WriteAsync(input);
        command.process.StandardInput.Close();
        return (await command.EndAsync(), command.Output);
    }

    /// <summary>Waits until <c>up</c> has said that it is open, and takes its address from that.</summary>
    public async Task<BankProcess> OpenAsync()
    {
        const string opened = "the bank is open: ";
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
            OpeningTakes);
        // What it said last may still be on its way.
        if (process.HasExited)
            await output;
        return Line() ?? throw new InvalidOperationException($"It ended with {process.ExitCode}:\n{Output}");

        string? Line() => lines.FirstOrDefault(line => line.Contains(text, StringComparison.Ordinal));
    }

    /// <summary>Writes a line to its standard input.</summary>
    public Task TellAsync(string line) => process.StandardInput.WriteLineAsync(line);

    /// <summary>Asks it to end, as <c>kill</c> and every supervisor do.</summary>
    public void Terminate() => Signals.Send(process.Id, Signals.Terminate);

    /// <summary>Asks it to end, as Ctrl-C does.</summary>
    public void Interrupt() => Signals.Send(process.Id, Signals.Interrupt);

    /// <summary>kill -9.</summary>
    public void Kill() => Signals.Send(process.Id, Signals.Kill);

    /// <summary>Waits for its end.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> EndAsync()
    {
        using var deadline = new CancellationTokenSource(OpeningTakes);
        try
        {
            await process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"Waited {OpeningTakes.TotalSeconds} s for the process to end; it has printed:\n{Output}");
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
