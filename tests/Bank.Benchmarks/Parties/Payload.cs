using System.Text;
using System.Text.Json;
using Bank.Domain;
using Bank.Events;
using Orleans.EventSourcing.Postgres;

namespace Bank.Benchmarks.Parties;

/// <summary>What a deposit leaves in the journal: the same for every party.</summary>
internal static class Payload
{
    public const string Description = "Salary for March";

    /// <summary>A request's, as the gateway gives it.</summary>
    public const string CorrelationId = "0af7651916cd43dd8448eb211c80319c";

    public static Money Amount { get; } = new(1250, 2);

    public static byte[] DataBytes { get; } = JsonSerializer.SerializeToUtf8Bytes(
        new MoneyDeposited(Amount, Description, new(123_456_50, 2)), BankJson.Default.MoneyDeposited);

    public static byte[] MetadataBytes { get; } = EventMetadata.Write(
        1, 1, Guid.Empty, CommandHash.Of(new Deposit(Amount, Description)), [new("correlation_id", CorrelationId)]).ToArray();

    public static string Data { get; } = Encoding.UTF8.GetString(DataBytes);

    public static string Metadata { get; } = Encoding.UTF8.GetString(MetadataBytes);
}
