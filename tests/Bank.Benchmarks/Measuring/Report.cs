using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Npgsql;

namespace Bank.Benchmarks.Measuring;

/// <summary>What one scenario has measured.</summary>
internal sealed record ScenarioReport(
    string Name, string About, IReadOnlyDictionary<string, string> Postgres, IReadOnlyCollection<Figure> Figures,
    IReadOnlyList<string> Notes)
{
    /// <summary>The figures as a Markdown table.</summary>
    public string ToTable()
    {
        string[] header = ["figure", "unit", "median", "min", "max", "spread", "target"];
        var rows = Figures.Select(f => (string[])
            [f.Name, f.Unit, Number(f.Median), Number(f.Min), Number(f.Max), $"{f.Spread:P0}".Replace(" ", "", Ordinal), f.Target ?? ""]);
        string[][] cells = [header, .. rows];
        var widths = Enumerable.Range(0, header.Length).Select(column => cells.Max(row => row[column].Length)).ToList();
        string[] ruler = [.. widths.Select((width, column) => IsText(column) ? new string('-', width) : new string('-', width - 1) + ":")];
        var lines = cells.Take(1).Append(ruler).Concat(cells.Skip(1)).Select(row => "| " + string.Join(" | ", row.Select((cell, column) =>
            IsText(column) ? cell.PadRight(widths[column]) : cell.PadLeft(widths[column]))) + " |");
        return string.Join('\n', lines);

        static bool IsText(int column) => column is 0 or 1 or 6;
    }

    private const StringComparison Ordinal = StringComparison.Ordinal;

    private static string Number(double value) =>
        value.ToString(Math.Abs(value) >= 100 ? "N0" : Math.Abs(value) >= 10 ? "N1" : "N2", CultureInfo.InvariantCulture);
}

/// <summary>A run: where, of what, and what came of it.</summary>
internal sealed record Report(
    DateTimeOffset StartedAt, Machine Machine, IReadOnlyDictionary<string, string> Versions, string Commit, Settings Settings,
    IReadOnlyList<ScenarioReport> Scenarios)
{
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static IReadOnlyDictionary<string, string> VersionsNow { get; } = new Dictionary<string, string>
    {
        ["bank"] = VersionOf(typeof(Report).Assembly),
        ["dotnet"] = Environment.Version.ToString(),
        ["orleans"] = VersionOf(typeof(IGrain).Assembly),
        ["npgsql"] = VersionOf(typeof(NpgsqlConnection).Assembly),
    };

    public string ToJson() => JsonSerializer.Serialize(this, Json);

    private static string VersionOf(Assembly assembly) =>
        assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()
            ?.InformationalVersion.Split('+', ' ')[0].TrimEnd('.') ?? "unknown";
}

/// <summary>How the run was told to measure.</summary>
internal sealed record Settings(bool Quick, int Rounds, double RoundSeconds, double WarmUpSeconds, int Accounts, bool ServerGc)
{
    public static Settings Of(Pace pace) => new(
        pace.IsQuick, pace.Rounds, pace.Round.TotalSeconds, pace.WarmUp.TotalSeconds, pace.Accounts,
        System.Runtime.GCSettings.IsServerGC);
}

/// <summary>The machine, and how busy it was with other things when the run began.</summary>
internal sealed record Machine(string Processor, int Cores, long MemoryBytes, string System, string LoadBefore)
{
    public static Machine Here => new(
        Line("/proc/cpuinfo", "model name")?.Split(':')[1].Trim() ?? RuntimeInformation.ProcessArchitecture.ToString(),
        Environment.ProcessorCount,
        GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
        $"{RuntimeInformation.OSDescription}, {RuntimeInformation.ProcessArchitecture}",
        Line("/proc/loadavg", "") ?? "unknown");

    private static string? Line(string file, string start) =>
        File.Exists(file) ? File.ReadLines(file).FirstOrDefault(line => line.StartsWith(start, StringComparison.Ordinal)) : null;
}
