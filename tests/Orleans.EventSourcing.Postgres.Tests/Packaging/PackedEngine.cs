using System.Diagnostics;
using System.IO.Compression;
using System.Reflection;
using System.Text.RegularExpressions;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Packaging;

/// <summary>The engine as <c>dotnet pack</c> makes it, and the program of its own page as a stranger would build it on that.</summary>
public sealed class PackedEngine : IAsyncLifetime
{
    public const string Id = "Orleans.EventSourcing.Postgres";

    // No version that was ever published, so that nobody's cache has it.
    public const string Version = "0.0.1-packed";

    private static readonly string Configuration =
        typeof(PackedEngine).Assembly.GetCustomAttribute<AssemblyConfigurationAttribute>()!.Configuration;

    private static readonly string Engine = Path.Combine(Root, "src", Id);

    private readonly string _folder = Directory.CreateTempSubdirectory("bank-package-").FullName;

    public static string Readme => File.ReadAllText(Path.Combine(Engine, "README.md"));

    /// <summary>What lies in the package, or in that of its symbols.</summary>
    public Task<ZipArchive> OpenAsync(string extension) =>
        ZipFile.OpenReadAsync(Path.Combine(_folder, "feed", $"{Id}.{Version}.{extension}"), TestContext.Current.CancellationToken);

    public async ValueTask InitializeAsync() => await DotnetAsync(
        "pack", Engine, "--configuration", Configuration, "--no-build", "--output", Path.Combine(_folder, "feed"),
        $"-p:PackageVersion={Version}");

    /// <summary>Builds the page's program in a folder of its own, with nothing of this repository but the package.</summary>
    /// <returns>The program.</returns>
    public async Task<string> BuildConsumerAsync(Func<string, string> change)
    {
        var consumer = Path.Combine(_folder, "consumer");
        Directory.CreateDirectory(consumer);
        const RegexOptions blocks = RegexOptions.Multiline | RegexOptions.Singleline;
        foreach (Match file in Regex.Matches(Readme, @"^```csharp\n// (\w+\.cs)\n(.+?)^```", blocks))
            await File.WriteAllTextAsync(Path.Combine(consumer, file.Groups[1].Value), change(file.Groups[2].Value));
        // All others lie where this solution's restore has put them; the one that is tested goes into no cache of anybody's.
        await File.WriteAllTextAsync(Path.Combine(consumer, "Consumer.csproj"), $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <Nullable>enable</Nullable>
                <ImplicitUsings>enable</ImplicitUsings>
                <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
                <UseAppHost>false</UseAppHost>
                <RestoreSources>{Path.Combine(_folder, "feed")}</RestoreSources>
                <RestorePackagesPath>{Path.Combine(_folder, "packages")}</RestorePackagesPath>
                <RestoreFallbackFolders>{Packages}</RestoreFallbackFolders>
              </PropertyGroup>
              <ItemGroup>
                <PackageReference Include="Microsoft.Orleans.Server" Version="{OrleansVersion}" />
                <PackageReference Include="{Id}" Version="{Version}" />
              </ItemGroup>
            </Project>
            """);
        await DotnetAsync("build", consumer, "--configuration", "Release", "--output", Path.Combine(consumer, "out"));
        return Path.Combine(consumer, "out", "Consumer.dll");
    }

    /// <summary>Runs the SDK's program, or one of its own.</summary>
    /// <returns>What it has printed.</returns>
    public static async Task<string> DotnetAsync(string[] arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo("dotnet", arguments)
        {
            WorkingDirectory = Path.GetTempPath(),
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // The build must leave no process behind, and a test's own host must not rule it.
        foreach (var inherited in start.Environment.Keys.Where(name => name.StartsWith("MSBUILD", StringComparison.Ordinal)).ToList())
            start.Environment.Remove(inherited);
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        try
        {
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }

        Assert.True(process.ExitCode == 0, $"dotnet {string.Join(' ', arguments)}\n{await output}{await error}");
        return await output;
    }

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    private static Task<string> DotnetAsync(params string[] arguments) =>
        DotnetAsync([.. arguments, "--nologo", "-p:UseSharedCompilation=false"], []);

    // "10.4.2. Commit Hash: ..."
    private static string OrleansVersion => typeof(IGrain).Assembly
        .GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+', ' ')[0].TrimEnd('.');

    private static string Packages => Environment.GetEnvironmentVariable("NUGET_PACKAGES") is { Length: > 0 } set
        ? set
        : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");

    private static string Root
    {
        get
        {
            var at = new DirectoryInfo(AppContext.BaseDirectory);
            while (!File.Exists(Path.Combine(at.FullName, "Bank.Orleans.sln")))
                at = at.Parent ?? throw new DirectoryNotFoundException($"No Bank.Orleans.sln above {AppContext.BaseDirectory}");
            return at.FullName;
        }
    }
}
