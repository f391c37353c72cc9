using System.Collections.Concurrent;
using System.Diagnostics;
using Bank.Host.Postgres;

namespace Bank.Deploy.Tests;

/// <summary>A process of the image, and what it prints.</summary>
internal sealed class RunningProcess : IAsyncDisposable
{
    private static readonly TimeSpan EndingTakes = TimeSpan.FromSeconds(120);

    private readonly Process process;
    private readonly ConcurrentQueue<string> lines = new();
    private readonly Task reading;

    public RunningProcess(Process process, Dictionary<string, string> environment)
    {
        (this.process, Environment) = (process, environment);
        reading = Task.WhenAll(ReadAsync(process.StandardOutput), ReadAsync(process.StandardError));
    }

    public Dictionary<string, string> Environment { get; }

    public int Id => process.Id;

    public Uri Address => new(Environment["ASPNETCORE_URLS"]);

    public string Output => string.Join('\n', lines);

    public void Terminate() => Signals.Send(process.Id, Signals.Terminate);

    public void ThrowIfEnded()
    {
        if (process.HasExited)
            throw new InvalidOperationException($"It ended with {process.ExitCode}:\n{Output}");
    }

    /// <summary>Waits for its end, and returns its exit code.</summary>
    public async Task<int> EndAsync()
    {
        using var deadline = new CancellationTokenSource(EndingTakes);
        try
        {
            await process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"Waited {EndingTakes.TotalSeconds} s for the process to end; it has printed:\n{Output}");
        }

        await reading;
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
