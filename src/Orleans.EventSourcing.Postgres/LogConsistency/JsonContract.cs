using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// Whether a type survives JSON. System.Text.Json leaves out private fields and private setters without a word, so that an event or a view
/// would silently come back with zeroes; here each instance field of each type that is reached must be written and read.
/// </summary>
internal static class JsonContract
{
    /// <summary>Null where the type survives, else the first member that would be lost.</summary>
    public static string? FirstLoss(Type type, JsonSerializerOptions options) => FirstLoss(type, options, []);

    private static string? FirstLoss(Type type, JsonSerializerOptions options, HashSet<Type> seen)
    {
        if (!seen.Add(type))
            return null;
        if (type == typeof(object))
            return "a member of type object comes back as a JsonElement";
        JsonTypeInfo info;
        try
        {
            info = options.GetTypeInfo(type);
        }
        catch (Exception e) when (e is NotSupportedException or InvalidOperationException or ArgumentException)
        {
            return $"{type}: {e.Message}";
        }

        return info.Kind switch
        {
            JsonTypeInfoKind.None => null,
            JsonTypeInfoKind.Object => FirstLossOfMember(info, options, seen),
            _ when type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Stack<>) => $"{type} comes back in reverse order",
            JsonTypeInfoKind.Enumerable or JsonTypeInfoKind.Dictionary when IsOfTheFramework(type) =>
                ElementTypes(type).Select(element => FirstLoss(element, options, seen)).FirstOrDefault(loss => loss is not null),
            _ => $"{type} is a collection of its own kind",
        };
    }

    private static string? FirstLossOfMember(JsonTypeInfo info, JsonSerializerOptions options, HashSet<Type> seen)
    {
        if (info.PolymorphismOptions is { } polymorphism)
            return polymorphism.DerivedTypes.Select(d => FirstLoss(d.DerivedType, options, seen)).FirstOrDefault(loss => loss is not null);
        if (info.Type.IsAbstract || info.Type.IsInterface)
            return $"{info.Type} is abstract";

        var readBack = info.Properties
            .Where(p => p.Get is not null && (p.Set is not null || p.AssociatedParameter is not null))
            .Select(p => p.AttributeProvider)
            .OfType<MemberInfo>()
            .Select(member => (member.DeclaringType, member.Name))
            .ToHashSet();
        for (var type = info.Type; type is not null && type != typeof(object) && type != typeof(ValueType); type = type.BaseType)
            foreach (var field in type.GetFields(
                BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            {
                var name = Attribute.IsDefined(field, typeof(CompilerGeneratedAttribute)) && field.Name.IndexOf('>') is > 1 and var end
                    ? field.Name[1..end]
                    : field.Name;
                if (!readBack.Contains((type, name)))
                    return $"{type}.{name} is not written to JSON and read back";
            }

        return info.Properties.Select(p => FirstLoss(p.PropertyType, options, seen)).FirstOrDefault(loss => loss is not null);
    }

    private static bool IsOfTheFramework(Type type) => type.IsArray || type.Namespace?.Split('.')[0] == "System";

    private static Type[] ElementTypes(Type type) =>
        type.IsArray ? [type.GetElementType()!] : type.GetGenericArguments();
}
