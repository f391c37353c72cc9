using System.Xml.Linq;
using Bank.Domain;

namespace Bank.Domain.Tests;

public class ArchitectureTests
{
    // Every project of src has its layer; it may refer to those of lower layers only. What lies in the lowest refers to no project at all.
    private static readonly string[][] Layers =
    [
        ["Bank.Domain", "Orleans.EventSourcing.Postgres"],
        ["Bank.Contracts", "Bank.Events"],
        ["Bank.ReadModel"],
        ["Bank.Grains", "Bank.Gateway"],
        ["Bank.Host"],
    ];

    // Folders of what tools make; the rest of the tree is the project's text.
    private static readonly HashSet<string> Made = [".git", ".vs", ".data", "bin", "obj", "artifacts", "TestResults", "node_modules"];

    private static readonly DirectoryInfo Root = FindRoot();

    public static TheoryData<string> Projects =>
        [.. Files(Folder("src")).Where(f => f.Extension == ".csproj").Select(f => Path.GetFileNameWithoutExtension(f.Name))];

    [Fact]
    public void The_domain_stands_on_the_base_library_alone()
    {
        Assert.All(typeof(Account).Assembly.GetReferencedAssemblies(), a => Assert.StartsWith("System.", a.Name, StringComparison.Ordinal));
        Assert.Empty(Packages("Bank.Domain"));
    }

    [Fact]
    public void The_engine_stands_on_Orleans_and_Npgsql_and_knows_no_bank()
    {
        Assert.All(Packages("Orleans.EventSourcing.Postgres"), p => Assert.Matches("^(Microsoft\\.Orleans\\..+|Npgsql)$", p));
        Assert.All(
            Files(Folder("src/Orleans.EventSourcing.Postgres")).Where(f => f.Extension == ".cs"),
            file => Assert.DoesNotMatch(@"\b(namespace|using) Bank\b", File.ReadAllText(file.FullName)));
    }

    [Theory]
    [MemberData(nameof(Projects))]
    public void References_point_downwards(string project)
    {
        var layer = Array.FindIndex(Layers, l => l.Contains(project));
        Assert.True(layer >= 0, $"{project} has no layer in this test yet: give it one");
        Assert.Subset(Layers[..layer].SelectMany(l => l).ToHashSet(), References(project).ToHashSet());
    }

    // A wider line does not fit beside its other version. The solution's lines are its tool's.
    [Fact]
    public void No_line_is_longer_than_140_characters() => Assert.Empty(
        from file in Files(Root)
        where file.Extension != ".sln"
        let text = File.ReadAllText(file.FullName)
        where !text.Contains('\0', StringComparison.Ordinal)
        from line in text.Split('\n').Index()
        where line.Item.EnumerateRunes().Count() > 140
        select $"{Path.GetRelativePath(Root.FullName, file.FullName)}:{line.Index + 1}");

    private static IEnumerable<string> References(string project) =>
        Items(project, "ProjectReference").Select(path => Path.GetFileNameWithoutExtension(path.Split('/', '\\')[^1]));

    private static IEnumerable<string> Packages(string project) => Items(project, "PackageReference");

    private static IEnumerable<string> Items(string project, string kind) =>
        XDocument.Load(Path.Combine(Root.FullName, "src", project, project + ".csproj"))
            .Descendants(kind).Select(e => e.Attribute("Include")!.Value);

    private static DirectoryInfo Folder(string path) => new(Path.Combine(Root.FullName, path));

    private static IEnumerable<FileInfo> Files(DirectoryInfo folder) =>
        folder.EnumerateFiles().Concat(folder.EnumerateDirectories().Where(d => !Made.Contains(d.Name)).SelectMany(Files));

    private static DirectoryInfo FindRoot()
    {
        for (var at = new DirectoryInfo(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "Bank.Orleans.sln")))
                return at;
        }
        throw new DirectoryNotFoundException($"No Bank.Orleans.sln above {AppContext.BaseDirectory}");
    }
}
