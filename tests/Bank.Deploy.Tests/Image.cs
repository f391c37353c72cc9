using System.Diagnostics;
using Xunit;

namespace Bank.Deploy.Tests;

/// <summary>
/// The image without Docker: the build stage's steps as plain commands, in a fresh folder that holds what .dockerignore lets through.
/// Absolute paths of the image lie below a folder of the machine's.
/// </summary>
public sealed class Image : IAsyncLifetime
{
    // What the test runner sets for itself and a developer for the bank is not in a container.
    private static readonly string[] NotInContainer =
        ["MSBUILD", "DOTNET_CLI", "DOTNET_HOST", "TESTINGPLATFORM", "ConnectionStrings", "BANK_"];

    /// <summary>The image's user, who has no name and no rights on this machine.</summary>
    public const int User = 1654;

    // Whoever is not root has no more rights than that user has, and needs no other name.
    private static readonly string[] AsUser = Environment.IsPrivilegedProcess
        ? ["setpriv", $"--reuid={User}", $"--regid={User}", "--clear-groups", "--bounding-set=-all", "--no-new-privs", "--"]
        : [];

    private readonly string root = Path.Combine(Path.GetTempPath(), $"bank-image-{Guid.NewGuid():n}");

    internal Dockerfile Dockerfile { get; } = new(Repository.Read("deploy/Dockerfile"));

    /// <summary>The folder of the program, as the image has it.</summary>
    public string Program => In("/program");

    /// <summary>What the build printed.</summary>
    public string Log { get; private set; } = "";

    public async ValueTask InitializeAsync()
    {
        var context = new DockerIgnore(Repository.Read(".dockerignore")).FilesIn(Repository.Root).ToList();
        var directory = root;
        foreach (var step in Dockerfile.Build)
        {
            switch (step.Name)
            {
                case "WORKDIR":
                    directory = Directory.CreateDirectory(In(step.Arguments)).FullName;
                    break;
                case "COPY":
                    Copy(context, step.Arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries), directory);
                    break;
                case "RUN":
                    await RunAsync(step.Arguments, directory);
                    break;
            }
        }
    }

    public ValueTask DisposeAsync()
    {
        if (Directory.Exists(root))
        {
            MakeWritable(true);
            Directory.Delete(root, recursive: true);
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>A command of the image's: exec form, with its paths where they lie on this machine.</summary>
    public string[] CommandOf(params string[] exec) => [.. exec.Select(word => word.StartsWith('/') ? In(word) : word)];

    /// <summary>
    /// Starts a command of the image as a user who may write nowhere, with the image's environment and nothing of the developer's.
    /// </summary>
    public Process Start(string[] exec, IReadOnlyDictionary<string, string> environment)
    {
        MakeWritable(false);
        string[] command = [.. AsUser, .. CommandOf(exec)];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            WorkingDirectory = "/",
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment.Clear();
        start.Environment["PATH"] = Environment.GetEnvironmentVariable("PATH");
        // A read-only root file system has no place for either.
        start.Environment["HOME"] = start.Environment["TMPDIR"] = "/nowhere";
        foreach (var (name, value) in Dockerfile.Environment.Concat(environment))
            start.Environment[name] = value;
        return Process.Start(start)!;
    }

    private string In(string path) => Path.Combine(root, path.TrimStart('/'));

    private static void Copy(List<string> context, string[] arguments, string directory)
    {
        var target = Path.GetFullPath(Path.Combine(directory, arguments[^1]));
        foreach (var source in arguments[..^1])
        {
            var files = context.Where(file => file == source || file.StartsWith(source + "/", StringComparison.Ordinal)).ToList();
            Assert.True(files.Count > 0, $"The Dockerfile copies {source}, of which .dockerignore lets nothing through");
            foreach (var file in files)
            {
                // A file goes into the folder, a folder's content takes the folder's new name.
                var to = Path.Combine(target, file == source ? Path.GetFileName(file) : file[(source.Length + 1)..]);
                Directory.CreateDirectory(Path.GetDirectoryName(to)!);
                File.Copy(Repository.At(file), to);
            }
        }
    }

    private async Task RunAsync(string step, string directory)
    {
        var words = step.Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Where(word => !word.StartsWith("--mount=", StringComparison.Ordinal))
            .Select(word => word.StartsWith('/') ? In(word) : word);
        var start = new ProcessStartInfo("/bin/sh", ["-c", string.Join(' ', words)]) { WorkingDirectory = directory };
        var foreign =
            from name in start.Environment.Keys
            where NotInContainer.Any(prefix => name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
            select name;
        foreach (var name in foreign.ToList())
            start.Environment.Remove(name);
        // No build server stays behind.
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        start.Environment["DOTNET_NOLOGO"] = "1";
        var (code, output, error) = await Tool.RunToEndAsync(start);
        Log += output + error;
        Assert.True(code == 0, $"The Dockerfile's step failed with {code}: {step}\n{output}\n{error}");
    }

    private void MakeWritable(bool writable)
    {
        if (!Directory.Exists(Program))
            return;
        var folder = UnixFileMode.UserRead | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute |
            UnixFileMode.OtherRead | UnixFileMode.OtherExecute;
        foreach (var directory in Directory.EnumerateDirectories(Program, "*", SearchOption.AllDirectories).Prepend(Program))
            File.SetUnixFileMode(directory, writable ? folder | UnixFileMode.UserWrite : folder);
    }
}
