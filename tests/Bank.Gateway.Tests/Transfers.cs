using System.Text.Json.Nodes;
using Bank.Testing;

namespace Bank.Gateway.Tests;

/// <summary>Waits for transfers.</summary>
internal static class Transfers
{
    /// <summary>The transfer at a path, once it has ended.</summary>
    public static async Task<JsonNode> EndedAsync(RestClient rest, string path) => (await Eventually.UntilAsync(
        $"{path} has ended",
        async () => (await rest.GetAsync(path)).Is(200),
        answer => answer.Text("phase") == "ended",
        TimeSpan.FromSeconds(60))).Body!;
}
