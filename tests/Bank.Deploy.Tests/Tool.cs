using System.Diagnostics;
using Xunit;

namespace Bank.Deploy.Tests;

/// <summary>A program that checks what lies in deploy/; where it is missing, the test fails and says what to install.</summary>
internal sealed class Tool
{
    public static Tool DockerCompose { get; } = new("docker-compose", "apt-get install --no-install-recommends docker-compose");

    public static Tool Kubectl { get; } = new("kubectl", "apt-get install kubernetes-client");

    // Unpacked and not installed: the package would start a server.
    public static Tool Promtool { get; } = new(
        "promtool",
        "apt-get download prometheus && dpkg -x prometheus_*.deb unpacked && cp unpacked/usr/bin/promtool /usr/local/bin/");

    private readonly string name;
    private readonly string install;

    private Tool(string name, string install) => (this.name, this.install) = (name, install);

    /// <summary>Runs it to its end in the repository's root, and returns what it wrote to standard output.</summary>
    public async Task<string> RunAsync(params string[] arguments)
    {
        var program = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .Select(directory => Path.Combine(directory, name)).FirstOrDefault(File.Exists);
        Assert.True(program is not null, $"{name} is missing. On Debian: {install} (.ci/run does it)");

        var (code, output, error) = await RunToEndAsync(new(program, arguments) { WorkingDirectory = Repository.Root });
        Assert.True(code == 0, $"{name} {string.Join(' ', arguments)} ended with {code}:\n{output}\n{error}");
        return output;
    }

    /// <summary>Runs any program to its end.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> RunToEndAsync(ProcessStartInfo start)
    {
        start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, await output, await error);
    }
}
