using System.Text.Json;
using System.Text.RegularExpressions;

namespace Bank.Deploy.Tests;

/// <summary>A Dockerfile as its stages, each a list of instructions.</summary>
internal sealed class Dockerfile
{
    public sealed record Instruction(string Name, string Arguments)
    {
        /// <summary>The arguments of the exec form, which needs no shell.</summary>
        public string[] Exec => JsonSerializer.Deserialize<string[]>(Arguments)!;
    }

    public Dockerfile(string text)
    {
        var joined = Regex.Replace(Regex.Replace(text, "(?m)^#.*\n", ""), @"\\\n\s*", " ");
        foreach (var line in joined.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var words = line.Split(' ', 2, StringSplitOptions.TrimEntries);
            if (words[0] == "FROM")
                Stages.Add([]);
            Stages[^1].Add(new(words[0], words[1]));
        }
    }

    public List<List<Instruction>> Stages { get; } = [];

    public IReadOnlyList<Instruction> Build => Stages[0];

    public IReadOnlyList<Instruction> Final => Stages[^1];

    /// <summary>What the container runs when nobody says otherwise.</summary>
    public string[] Entrypoint => Final.Single(i => i.Name == "ENTRYPOINT").Exec;

    public string[] Command => Final.Single(i => i.Name == "CMD").Exec;

    public string[] HealthCheck =>
        JsonSerializer.Deserialize<string[]>(Final.Single(i => i.Name == "HEALTHCHECK").Arguments.Split("CMD", 2)[1])!;

    /// <summary>Its ENV as pairs.</summary>
    public Dictionary<string, string> Environment => Final.Where(i => i.Name == "ENV")
        .SelectMany(i => i.Arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Select(pair => pair.Split('=', 2))
        .ToDictionary(pair => pair[0], pair => pair[1]);
}
