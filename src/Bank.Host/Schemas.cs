using Bank.Grains;
using Orleans.EventSourcing.Postgres.Schema;

namespace Bank.Host;

/// <summary>The schemas of the product, in the order in which they are migrated.</summary>
public static class Schemas
{
    public static IReadOnlyList<SqlScripts> All { get; } =
    [
        SqlScripts.Journal,
        SqlScripts.ReadModel,
        SqlScripts.From(typeof(BankOptions).Assembly, "work"),
        SqlScripts.From(typeof(Schemas).Assembly, "orleans"),
    ];
}
