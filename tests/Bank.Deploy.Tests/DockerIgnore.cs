using System.Text.RegularExpressions;

namespace Bank.Deploy.Tests;

/// <summary>What Docker takes for its build from a folder: the last pattern that matches a path, or a folder above it, decides.</summary>
internal sealed class DockerIgnore(string text)
{
    private readonly List<(Regex Pattern, bool LetsThrough)> rules =
    [
        .. from line in text.Split('\n')
           let rule = line.Trim()
           where rule.Length > 0 && rule[0] != '#'
           select (Compile(rule.TrimStart('!').Trim('/')), rule[0] == '!'),
    ];

    public bool LetsThrough(string path) => rules.LastOrDefault(rule => rule.Pattern.IsMatch(path)) is (null, _) or (_, true);

    /// <summary>The files below a folder that are let through, as paths relative to it.</summary>
    public IEnumerable<string> FilesIn(string folder) =>
        from top in Directory.EnumerateFileSystemEntries(folder)
        let name = Path.GetFileName(top)
        // A folder of which nothing can come is not walked: .git and .data are large.
        where LetsThrough(name) || rules.Any(rule => rule.LetsThrough && rule.Pattern.ToString().StartsWith($"^{name}/"))
        from file in Directory.Exists(top) ? Directory.EnumerateFiles(top, "*", SearchOption.AllDirectories) : [top]
        let path = Path.GetRelativePath(folder, file)
        where LetsThrough(path)
        select path;

    private static Regex Compile(string pattern)
    {
        var expression = Regex.Escape(pattern)
            .Replace(@"\*\*/", "(.*/)?", StringComparison.Ordinal)
            .Replace(@"\*\*", ".*", StringComparison.Ordinal)
            .Replace(@"\*", "[^/]*", StringComparison.Ordinal)
            .Replace(@"\?", "[^/]", StringComparison.Ordinal);
        return new($"^{expression}(/.*)?$");
    }
}
