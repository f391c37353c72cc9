using System.Data;
using System.Text;
using System.Text.Json;
using Bank.Host.Postgres;
using Npgsql;

namespace Bank.Host.Commands;

/// <summary>What the record says of itself.</summary>
/// <param name="Position">Where it ends.</param>
/// <param name="Currencies">What each currency adds up to there.</param>
/// <param name="Violations">Of each rule that is broken the first violation, in order of position.</param>
internal sealed record RecordReport(
    long Position, IReadOnlyList<RecordReport.Sum> Currencies, IReadOnlyList<RecordReport.Violation> Violations)
{
    internal sealed record Sum(string? Currency, string? PaidIn, string? Held, string? InFlight);

    internal sealed record Violation(string Rule, long Position, string? StreamId, string? EventType, string Detail);
}

/// <summary>
/// <c>./bank check</c>: an auditor that shares no code with the bank. What it asks is written in <c>sql/check/record.sql</c>, over the
/// record alone.
/// </summary>
internal static class Check
{
    public static async Task<ExitCode> RunAsync(HostSettings settings, bool json, IProgress<string> progress, CancellationToken stop)
    {
        try
        {
            await using var database = await Database.OpenAsync(settings, progress, stop);
            if (await database.PendingAsync(stop) is { Count: > 0 })
                throw new CommandException(ExitCode.NotMigrated, "The database is not migrated. Run ./bank migrate.");
            var report = await ReadAsync(database.App, stop);
            Console.Out.WriteLine(json ? JsonSerializer.Serialize(report, HostSettings.Json) : Sentences(report));
            return report.Violations.Count == 0 ? ExitCode.Done : ExitCode.RecordDamaged;
        }
        catch (OperationCanceledException e) when (stop.IsCancellationRequested)
        {
            // Elsewhere a signal is a good end; here it must not look as if the record were in order.
            throw new CommandException(ExitCode.Failed, "The record was not checked to its end.", e);
        }
    }

    /// <summary>Checks the record of a database.</summary>
    public static async Task<RecordReport> ReadAsync(string connectionString, CancellationToken stop)
    {
        await using var source = NpgsqlDataSource.Create(connectionString);
        await using var connection = await source.OpenConnectionAsync(stop);
        await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, stop);
        // It sorts the whole record a few times, and takes as long as that takes.
        await using var set = new NpgsqlCommand("SET TRANSACTION READ ONLY; SET LOCAL work_mem = '64MB'", connection);
        await set.ExecuteNonQueryAsync(stop);
        await using var check = new NpgsqlCommand(Statement(), connection) { CommandTimeout = 0 };
        return JsonSerializer.Deserialize<RecordReport>((string)(await check.ExecuteScalarAsync(stop))!, HostSettings.Json)!;
    }

    private static string Statement()
    {
        using var reader = new StreamReader(typeof(Check).Assembly.GetManifestResourceStream("sql/check/record.sql")!, Encoding.UTF8);
        return reader.ReadToEnd();
    }

    private static string Sentences(RecordReport report) => string.Join('\n', (string[])
    [
        report.Violations is [var first, ..]
            ? $"the record is NOT in order from position {first.Position} on; of each rule that is broken, the first violation:"
            : $"the record is in order, up to its end at position {report.Position}",
        .. report.Violations.Select(v =>
            $"  position {v.Position}, {v.EventType ?? "nothing"} in {v.StreamId ?? "no stream"}, against {v.Rule}: {v.Detail}"),
        .. report.Currencies.Select(c => $"  {c.Currency}: paid in {c.PaidIn}, held {c.Held}, in flight {c.InFlight}"),
    ]);
}
