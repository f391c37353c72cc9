using Bank.Domain;
using Npgsql;
using Orleans.EventSourcing.Postgres;

namespace Bank.ReadModel.DailyTotals;

/// <summary>How many, and how much together.</summary>
/// <param name="Count">Number.</param>
/// <param name="Amount">With the digits of the currency; it may be beyond what a <see cref="Money"/> holds.</param>
public readonly record struct Total(long Count, decimal Amount);

/// <summary>What happened on a day in one currency.</summary>
public sealed record DailyTotalsRow(DateOnly Date, Currency Currency, Total Deposits, Total Withdrawals, Total Transfers);

/// <summary>Reads daily totals.</summary>
public sealed class DailyTotalsQuery(ReadModels readModels)
{
    internal const string OfDays =
        """
        SELECT r.as_of, t.date, t.currency, t.deposits, t.deposits_amount, t.withdrawals, t.withdrawals_amount, t.transfers,
               t.transfers_amount
        FROM readmodel.as_of('daily_totals', NULL, NULL) r (as_of)
        LEFT JOIN LATERAL (
            SELECT d.date, d.currency, sum(d.deposits)::bigint AS deposits, sum(d.deposits_amount) AS deposits_amount,
                   sum(d.withdrawals)::bigint AS withdrawals, sum(d.withdrawals_amount) AS withdrawals_amount,
                   sum(d.transfers)::bigint AS transfers, sum(d.transfers_amount) AS transfers_amount
            FROM readmodel.daily_totals d
            WHERE d.date BETWEEN $1 AND $2 AND d.currency = coalesce($3, d.currency)
            GROUP BY d.date, d.currency) t ON true
        ORDER BY t.date, t.currency
        """;

    /// <summary>Totals by day and currency, in this order.</summary>
    /// <param name="from">The first day (UTC), inclusive; null for all.</param>
    /// <param name="to">The last day (UTC), inclusive; null for all.</param>
    /// <param name="currency">The only currency; null for all.</param>
    /// <param name="atLeast">A position that the answer must cover.</param>
    /// <param name="cancellation">Ends the query.</param>
    /// <exception cref="ReadModelBehindException">The position is not covered in time.</exception>
    public async Task<Page<DailyTotalsRow>> ListAsync(
        DateOnly? from, DateOnly? to, Currency? currency, Position atLeast, CancellationToken cancellation)
    {
        var reached = await readModels.WaitAsync(DailyTotalsProjection.ProjectionName, null, atLeast);
        await using var command = readModels.Database.CreateCommand(OfDays);
        command.Parameters.Add(new NpgsqlParameter<DateOnly> { TypedValue = from ?? DateOnly.MinValue });
        command.Parameters.Add(new NpgsqlParameter<DateOnly> { TypedValue = to ?? DateOnly.MaxValue });
        command.Parameters.Add(new NpgsqlParameter<string?> { TypedValue = currency?.Code, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Text });
        var rows = new List<DailyTotalsRow>();
        var asOf = 0L;
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            asOf = reader.GetInt64(0);
            if (reader.IsDBNull(1))
                continue;
            var found = Currency.Parse(reader.GetString(2));
            rows.Add(new(
                reader.GetFieldValue<DateOnly>(1), found, TotalOf(reader, 3, found), TotalOf(reader, 5, found), TotalOf(reader, 7, found)));
        }

        return new(rows, null, ReadModels.Later(reached, asOf));
    }

    // A decimal keeps the digits it was given: 1000 in cents is 10.00.
    private static Total TotalOf(NpgsqlDataReader reader, int at, Currency currency)
    {
        var minorUnits = decimal.Truncate(reader.GetDecimal(at + 1));
        return new(reader.GetInt64(at), minorUnits * new decimal(1, 0, 0, false, currency.Digits));
    }
}
