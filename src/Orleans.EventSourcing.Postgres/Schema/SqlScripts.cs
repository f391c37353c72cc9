using System.Reflection;
using System.Security.Cryptography;
using System.Text;

namespace Orleans.EventSourcing.Postgres.Schema;

/// <summary>The SQL of one database schema, as an assembly carries it.</summary>
/// <remarks>
/// Resources are named <c>sql/&lt;schema&gt;/NNNN_name.sql</c> (run once, in order of their numbers) and
/// <c>sql/&lt;schema&gt;/functions/name.sql</c> (one object each, written so that it may be run again: <c>CREATE OR REPLACE</c>).
/// </remarks>
/// <param name="Schema">The database schema, which the migrator creates.</param>
/// <param name="Numbered">What runs once, in order.</param>
/// <param name="Functions">What runs whenever its text has changed, after the numbered scripts.</param>
public sealed record SqlScripts(string Schema, IReadOnlyList<SqlScript> Numbered, IReadOnlyList<SqlScript> Functions)
{
    /// <summary>The engine's own schema, <c>journal</c>.</summary>
    public static SqlScripts Journal { get; } = From(typeof(SqlScripts).Assembly, "journal");

    /// <summary>What projections know of themselves: the schema <c>readmodel</c>.</summary>
    public static SqlScripts ReadModel { get; } = From(typeof(SqlScripts).Assembly, "readmodel");

    /// <summary>Reads the scripts of a schema out of an assembly's resources.</summary>
    /// <exception cref="InvalidOperationException">A script's name has no number, or two scripts share one.</exception>
    public static SqlScripts From(Assembly assembly, string schema)
    {
        var prefix = $"sql/{schema}/";
        var scripts = assembly.GetManifestResourceNames()
            .Select(resource => (resource, name: resource.Replace('\\', '/')))
            .Where(found => found.name.StartsWith(prefix, StringComparison.Ordinal))
            .Select(found => new SqlScript(found.name[prefix.Length..], Read(assembly, found.resource)))
            .OrderBy(script => script.Name, StringComparer.Ordinal)
            .ToList();

        var numbered = scripts.Where(script => !script.Name.Contains('/', StringComparison.Ordinal)).ToList();
        if (numbered.FirstOrDefault(script => script.Number is null) is { } nameless)
            throw new InvalidOperationException($"{prefix}{nameless.Name} must begin with four digits and an underscore.");
        if (numbered.GroupBy(script => script.Number).FirstOrDefault(same => same.Count() > 1) is { } twice)
            throw new InvalidOperationException($"{prefix} has two scripts with the number {twice.Key}.");

        return new(schema, numbered, [.. scripts.Where(script => script.Name.StartsWith("functions/", StringComparison.Ordinal))]);
    }

    private static string Read(Assembly assembly, string resource)
    {
        using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}

/// <summary>One file of SQL.</summary>
/// <param name="Name">Its path below <c>sql/&lt;schema&gt;/</c>, for example <c>0001_events.sql</c> or <c>functions/append.sql</c>.</param>
/// <param name="Text">What it says.</param>
public sealed record SqlScript(string Name, string Text)
{
    /// <summary>The leading digits of a numbered script; null for any other.</summary>
    public string? Number => Name is [_, _, _, _, '_', ..] && Name[..4].All(char.IsAsciiDigit) ? Name[..4] : null;

    /// <summary>Lower-case hexadecimal SHA-256 of the text, its line ends as <c>\n</c>: any checkout is the same script.</summary>
    public string Checksum =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Text.ReplaceLineEndings("\n"))));
}
