using System.Diagnostics;
using System.Text.Json;
using Xunit;

namespace Bank.Host.Tests.Commands;

/// <summary>That the benchmarks run, never how fast: speed is for <c>./bank bench</c> on a quiet machine.</summary>
public sealed class BenchTests
{
    [Fact]
    public async Task Every_scenario_runs_and_leaves_its_figures_as_JSON()
    {
        var file = Path.GetTempFileName();
        try
        {
            var (exitCode, output) = await BenchAsync("--quick", "--json", file);
            Assert.True(exitCode == 0, output);
            using var report = JsonDocument.Parse(await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken));
            var root = report.RootElement;
            Assert.NotEmpty(root.GetProperty("machine").GetProperty("processor").GetString()!);
            Assert.NotEmpty(root.GetProperty("versions").GetProperty("orleans").GetString()!);
            Assert.NotEmpty(root.GetProperty("commit").GetString()!);
            Assert.True(root.GetProperty("settings").GetProperty("quick").GetBoolean());

            var (_, help) = await BenchAsync("--help");
            var scenarios = root.GetProperty("scenarios").EnumerateArray().ToList();
            Assert.NotEmpty(scenarios);
            foreach (var scenario in scenarios)
            {
                var name = scenario.GetProperty("name").GetString()!;
                Assert.Contains($"  {name} ", help, StringComparison.Ordinal);
                Assert.Contains($"\n{name}: ", output, StringComparison.Ordinal);
                Assert.Equal("on", scenario.GetProperty("postgres").GetProperty("fsync").GetString());
                Assert.NotEmpty(scenario.GetProperty("figures").EnumerateArray());
                foreach (var figure in scenario.GetProperty("figures").EnumerateArray())
                {
                    var (min, median, max) = (Of("min"), Of("median"), Of("max"));
                    Assert.NotEmpty(figure.GetProperty("name").GetString()!);
                    Assert.NotEmpty(figure.GetProperty("unit").GetString()!);
                    Assert.True(0 <= min && min <= median && median <= max, $"{name}: {figure}");

                    double Of(string field) => figure.GetProperty(field).GetDouble();
                }
            }
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task An_unknown_scenario_is_refused_before_anything_starts()
    {
        var (exitCode, output) = await BenchAsync("speed");
        Assert.NotEqual(0, exitCode);
        Assert.Contains("'speed'", output, StringComparison.Ordinal);
        Assert.DoesNotContain("starting PostgreSQL", output, StringComparison.Ordinal);
    }

    private static async Task<(int ExitCode, string Output)> BenchAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "Bank.Benchmarks.dll"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync(CancellationToken.None);
        var error = process.StandardError.ReadToEndAsync(CancellationToken.None);
        try
        {
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }

        return (process.ExitCode, await output + await error);
    }
}
