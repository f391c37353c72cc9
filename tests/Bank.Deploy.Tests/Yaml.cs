using System.Text.Json.Nodes;
using YamlDotNet.Core;
using YamlDotNet.Serialization;

namespace Bank.Deploy.Tests;

/// <summary>YAML as a JSON tree, in which every scalar is a string.</summary>
internal static class Yaml
{
    public static JsonObject Parse(string text)
    {
        var tree = new DeserializerBuilder().Build().Deserialize(new MergingParser(new Parser(new StringReader(text))));
        return JsonNode.Parse(new SerializerBuilder().JsonCompatible().Build().Serialize(tree))!.AsObject();
    }

    public static string Text(this JsonNode? node, string name) => (string?)node?[name] ?? "";

    public static IEnumerable<JsonNode> List(this JsonNode? node, string name) => node?[name]?.AsArray().Select(item => item!) ?? [];

    public static IEnumerable<string> Texts(this JsonNode? node, string name) => node.List(name).Select(item => (string)item!);

    public static IEnumerable<KeyValuePair<string, JsonNode?>> Members(this JsonNode? node, string name) =>
        node?[name]?.AsObject() ?? [];
}
