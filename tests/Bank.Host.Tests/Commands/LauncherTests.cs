using System.Diagnostics;
using Xunit;

namespace Bank.Host.Tests.Commands;

public sealed class LauncherTests
{
    [Fact]
    public async Task Without_an_SDK_it_says_what_to_install()
    {
        var programs = Directory.CreateTempSubdirectory("bank-").FullName;
        try
        {
            File.CreateSymbolicLink(Path.Combine(programs, "dirname"), "/usr/bin/dirname");
            var start = new ProcessStartInfo("/bin/sh", [Path.Combine(Root(), "bank"), "up"]) { RedirectStandardError = true };
            start.Environment["PATH"] = programs;
            start.Environment["DOTNET_ROOT"] = programs;
            using var launcher = Process.Start(start)!;
            var said = await launcher.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            await launcher.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.Equal((int)ExitCode.SdkMissing, launcher.ExitCode);
            Assert.Contains(".NET SDK is missing", said, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(programs, recursive: true);
        }
    }

    private static string Root()
    {
        var directory = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(directory, "Bank.Orleans.sln")))
            directory = Path.GetDirectoryName(directory) ?? throw new InvalidOperationException("The tests do not lie in the repository.");
        return directory;
    }
}
