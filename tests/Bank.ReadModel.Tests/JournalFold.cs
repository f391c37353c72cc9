using System.Globalization;
using System.Text.Json;
using Npgsql;

namespace Bank.ReadModel.Tests;

/// <summary>
/// What the read models must hold, by code of its own: event by event, over the whole journal, with nothing of the product in it. A row is
/// a line of text, so that what differs can be read.
/// </summary>
internal sealed class JournalFold
{
    private readonly SortedDictionary<string, string> accounts = [];
    private readonly List<string> transactions = [];
    private readonly SortedDictionary<string, Dictionary<string, string>> transfers = [];
    private readonly SortedDictionary<string, (long Deposits, decimal In, long Withdrawals, decimal Out, long Transfers, decimal Sent)>
        totals = [];

    private readonly Dictionary<string, (string Currency, string Owner, string Opened, string Status, string Balance)> open = [];

    /// <summary>The rows of <c>transactions</c> as lines.</summary>
    public static string Transactions { get; } =
        $"""
        SELECT concat_ws(' | ', account_id, {Time("recorded_at")}, position, version, event_id, type, amount, balance_after,
            coalesce(currency, '-'), coalesce(counterparty_account_id::text, '-'), coalesce(transfer_id::text, '-'), description)
        FROM readmodel.transactions
        """;

    /// <summary>Folds the journal.</summary>
    public static async Task<IReadOnlyDictionary<string, IReadOnlyList<string>>> OfJournalAsync(NpgsqlDataSource database)
    {
        var fold = new JournalFold();
        await using var command = database.CreateCommand(
            """
            SELECT position, event_id::text, stream_id, version, event_type, data::text,
                   to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')
            FROM journal.events ORDER BY position
            """);
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            using var data = JsonDocument.Parse(reader.GetString(5));
            fold.Add(
                reader.GetInt64(0), reader.GetString(1), reader.GetString(2), reader.GetInt64(3), reader.GetString(4), data.RootElement,
                reader.GetString(6));
        }

        return new Dictionary<string, IReadOnlyList<string>>
        {
            ["accounts"] = [.. fold.accounts.Values],
            ["transactions"] = [.. fold.transactions.Order(StringComparer.Ordinal)],
            ["transfers"] = [.. fold.transfers.Select(t => string.Join(" | ", t.Value.OrderBy(c => c.Key, StringComparer.Ordinal)
                .Select(c => $"{c.Key}={c.Value}").Prepend(t.Key).Append(StatusOf(t.Value))))],
            ["daily_totals"] = [.. fold.totals.Select(t => string.Create(
                CultureInfo.InvariantCulture,
                $"{t.Key} | {t.Value.Deposits} {t.Value.In} | {t.Value.Withdrawals} {t.Value.Out} | {t.Value.Transfers} {t.Value.Sent}"))],
        };
    }

    /// <summary>What the tables hold, written in the same way.</summary>
    public static async Task<IReadOnlyDictionary<string, IReadOnlyList<string>>> OfTablesAsync(NpgsqlDataSource database)
    {
        var step = (string name) =>
            $"""
            CASE WHEN "{name}" IS NOT NULL THEN ' | {name}=' || "{name}" || ' ' || {name}_id || ' ' || {name}_position || ' ' ||
            {Time(name + "_at")} ELSE '' END
            """;
        return new Dictionary<string, IReadOnlyList<string>>
        {
            ["accounts"] = await LinesAsync(
                $"""
                SELECT concat_ws(' | ', account_id, owner_name, currency, balance, status, version, opened_position,
                    {Time("opened_at")}, {Time("updated_at")})
                FROM readmodel.accounts
                """),
            ["transactions"] = await LinesAsync(Transactions),
            ["transfers"] = await LinesAsync(
                $"""
                SELECT transfer_id || {step("destination")} || {step("end")} || {step("outcome")} ||
                    CASE WHEN reason IS NOT NULL THEN ' | reason=' || reason ELSE '' END ||
                    CASE WHEN requested_id IS NOT NULL THEN ' | requested=' || concat_ws(' ', requested_id, requested_position,
                        {Time("requested_at")}, from_account_id, to_account_id, amount, currency, description) ELSE '' END ||
                    {step("return")} || {step("source")} || ' | ' || status
                FROM readmodel.transfers
                """),
            ["daily_totals"] = await LinesAsync(
                """
                SELECT date || ' ' || currency || ' | ' || sum(deposits) || ' ' || sum(deposits_amount) || ' | ' ||
                    sum(withdrawals) || ' ' || sum(withdrawals_amount) || ' | ' || sum(transfers) || ' ' || sum(transfers_amount)
                FROM readmodel.daily_totals GROUP BY date, currency
                """),
        };

        async Task<IReadOnlyList<string>> LinesAsync(string sql)
        {
            var lines = new List<string>();
            await using var command = database.CreateCommand(sql);
            await using var reader = await command.ExecuteReaderAsync();
            while (await reader.ReadAsync())
                lines.Add(reader.GetString(0));
            lines.Sort(StringComparer.Ordinal);
            return lines;
        }
    }

    private void Add(long position, string id, string stream, long version, string type, JsonElement data, string at)
    {
        var owner = stream[(stream.IndexOf('-', StringComparison.Ordinal) + 1)..];
        var text = (string name) => data.GetProperty(name).GetString()!;
        var minor = (string name) => Digits(text(name).Replace(".", "", StringComparison.Ordinal).TrimStart('0'));
        switch (type)
        {
            case "AccountOpened":
                open[owner] = (text("currency"), text("owner_name"), $"{position} | {at}", "active", "");
                Moved("opening", minor("initial_deposit"), null, "");
                var first = decimal.Parse(minor("initial_deposit"), CultureInfo.InvariantCulture);
                Total(t => t with { Deposits = t.Deposits + 1, In = t.In + first });
                break;
            case "MoneyDeposited":
                Moved("deposit", minor("amount"), null, text("description"));
                Total(t => t with { Deposits = t.Deposits + 1, In = t.In + Amount() });
                break;
            case "MoneyWithdrawn":
                Moved("withdrawal", "-" + minor("amount"), null, text("description"));
                Total(t => t with { Withdrawals = t.Withdrawals + 1, Out = t.Out + Amount() });
                break;
            case "TransferSent":
                Moved("transfer_out", "-" + minor("amount"), text("counterparty_account_id"), text("description"));
                Step(text("transfer_id"), "source");
                break;
            case "TransferReceived":
                Moved("transfer_in", minor("amount"), text("counterparty_account_id"), text("description"));
                Step(text("transfer_id"), "destination");
                Total(t => t with { Transfers = t.Transfers + 1, Sent = t.Sent + Amount() });
                break;
            case "TransferReturned":
                Moved("transfer_returned", minor("amount"), text("counterparty_account_id"), text("description"));
                Step(text("transfer_id"), "return");
                break;
            case "TransferDeclined":
                // Whose step it is: the money had left, or not.
                Step(text("transfer_id"), transfers[text("transfer_id")].ContainsKey("source") ? "destination" : "source");
                transfers[text("transfer_id")]["reason"] = text("reason");
                Touched();
                break;
            case "AccountClosed":
                open[owner] = open[owner] with { Status = "closed" };
                Touched();
                break;
            case "TransferRequested":
                transfers[owner] = new()
                {
                    ["requested"] = $"{id} {position} {at} {text("from_account_id")} {text("to_account_id")} {minor("amount")} " +
                        $"{text("currency")} {text("description")}",
                };
                break;
            case "TransferCompleted":
                Step(owner, "outcome");
                break;
            case "TransferRejected" or "ReturnDecided":
                Step(owner, "outcome");
                transfers[owner]["reason"] = text("reason");
                break;
            case "TransferFailed":
                Step(owner, "end");
                transfers[owner]["reason"] = text("reason");
                break;
        }

        decimal Amount() => decimal.Parse(minor("amount"), CultureInfo.InvariantCulture);

        void Moved(string kind, string amount, string? counterparty, string description)
        {
            open[owner] = open[owner] with { Balance = minor("balance_after") };
            Touched();
            transactions.Add(
                $"{owner} | {at} | {position} | {version} | {id} | {kind} | {(amount == "-0" ? "0" : amount)} | " +
                $"{minor("balance_after")} | {(kind == "opening" ? open[owner].Currency : "-")} | {counterparty ?? "-"} | " +
                $"{(counterparty is null ? "-" : text("transfer_id"))} | {description}");
        }

        void Touched()
        {
            var a = open[owner];
            accounts[owner] = $"{owner} | {a.Owner} | {a.Currency} | {a.Balance} | {a.Status} | {version} | {a.Opened} | {at}";
        }

        void Step(string transfer, string step) => transfers[transfer][step] = $"{type} {id} {position} {at}";

        void Total(Func<(long Deposits, decimal In, long Withdrawals, decimal Out, long Transfers, decimal Sent),
            (long, decimal, long, decimal, long, decimal)> add)
        {
            var key = $"{at[..10]} {open[owner].Currency}";
            totals[key] = add(totals.GetValueOrDefault(key));
        }
    }

    private static string Digits(string digits) => digits.Length > 0 ? digits : "0";

    private static string Time(string column) => $"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')";

    private static string StatusOf(Dictionary<string, string> steps)
    {
        var all = string.Join(' ', steps.Where(s => s.Key != "requested").Select(s => s.Value));
        return all.Contains("TransferReceived", StringComparison.Ordinal) ? "completed"
            : all.Contains("TransferCompleted", StringComparison.Ordinal) ? "completed"
            : all.Contains("TransferRejected", StringComparison.Ordinal) ? "rejected"
            : all.Contains("TransferFailed", StringComparison.Ordinal) ? "failed"
            : "running";
    }
}
