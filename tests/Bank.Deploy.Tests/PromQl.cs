using System.Text.RegularExpressions;

namespace Bank.Deploy.Tests;

/// <summary>Finds the metrics that an expression of Prometheus names. That it is one, promtool checks.</summary>
internal static partial class PromQl
{
    private static readonly HashSet<string> Words = ["and", "or", "unless", "offset", "bool", "inf", "nan"];

    public static IReadOnlySet<string> Metrics(string expression) => Name()
        .Matches(NoMetrics().Replace(expression, " "))
        .Select(match => match.Value)
        .Where(name => !Words.Contains(name))
        .ToHashSet(StringComparer.Ordinal);

    // Label matchers and their strings, ranges, and the labels that a clause lists.
    [GeneratedRegex(@"\{(?:""[^""]*""|[^}""])*\}|\[[^\]]*\]|""[^""]*""|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")]
    private static partial Regex NoMetrics();

    // Not a number's exponent, a duration, or a function.
    [GeneratedRegex(@"(?<![\w.:])[a-zA-Z_:][\w:]*(?![\w:]*\s*\()")]
    private static partial Regex Name();
}
