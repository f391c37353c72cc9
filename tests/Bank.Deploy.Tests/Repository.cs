namespace Bank.Deploy.Tests;

/// <summary>The tree that these tests check.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    public static string At(string path) => Path.Combine(Root, path);

    public static string Read(string path) => File.ReadAllText(At(path));

    private static string FindRoot()
    {
        for (var at = new DirectoryInfo(AppContext.BaseDirectory); at is not null; at = at.Parent)
            if (File.Exists(Path.Combine(at.FullName, "Bank.Orleans.sln")))
                return at.FullName;
        throw new DirectoryNotFoundException($"No Bank.Orleans.sln above {AppContext.BaseDirectory}");
    }
}
