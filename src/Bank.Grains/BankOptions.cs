using System.Diagnostics;
using System.Text.Json;
using Bank.Contracts;
using Bank.Events;
using Bank.Grains.Accounts;
using Orleans.EventSourcing.Postgres;

namespace Bank.Grains;

/// <summary>Settings of the bank's grains.</summary>
public sealed class BankOptions
{
    /// <summary>
    /// How many ids of commands an account remembers, so that a common retry costs no search in the journal; default 100.
    /// </summary>
    public int RecentCommands { get; set; } = 100;

    /// <summary>How long a client waits for its transfer to end before it is told where to look; default 2 s.</summary>
    public TimeSpan TransferAnswerAfter { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>After how long without a step a transfer is resumed by the watchdog; default 5 s.</summary>
    public TimeSpan TransferOverdueAfter { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How often the watchdog looks; default 1 s.</summary>
    public TimeSpan TransferWatchInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>What is wrong with these settings: a sentence each, which names the setting; empty when all is well.</summary>
    public IReadOnlyList<string> FindProblems()
    {
        var problems = new List<string>();
        Require(RecentCommands >= 1, nameof(RecentCommands), $"must be at least 1, not {RecentCommands}");
        Lasts(TransferAnswerAfter, nameof(TransferAnswerAfter), TimeSpan.Zero);
        Lasts(TransferOverdueAfter, nameof(TransferOverdueAfter), TimeSpan.FromMilliseconds(1));
        Lasts(TransferWatchInterval, nameof(TransferWatchInterval), TimeSpan.FromMilliseconds(1));
        return problems;

        // A number without a unit is one of days, and no timer counts to fifty of them.
        void Lasts(TimeSpan value, string setting, TimeSpan least) => Require(
            value >= least && value <= TimeSpan.FromDays(1), setting, $"must be between {least} and a day, not {value}");

        void Require(bool condition, string setting, string what)
        {
            if (!condition)
                problems.Add($"{nameof(BankOptions)}.{setting} {what}.");
        }
    }
}

/// <summary>What the engine needs to know of the bank.</summary>
public static class BankJournal
{
    /// <summary>Adds the bank's stored events and snapshots to a silo's journal.</summary>
    public static void AddBank(this PostgresJournalOptions journal, BankOptions bank)
    {
        foreach (var stored in StoredEvents.Table)
            journal.Events.Add(new(
                stored.Name,
                stored.SchemaVersion,
                stored.Json.Type,
                e => JsonSerializer.SerializeToUtf8Bytes(e, stored.Json),
                data => JsonSerializer.Deserialize(data.Span, stored.Json) ?? throw new JsonException($"{stored.Name} is null")));
        var state = BankJson.Default.StoredAccountState;
        journal.Views.Add<AccountView>(
            view => JsonSerializer.SerializeToUtf8Bytes(StoredAccountState.Of(view.State), state),
            data => new() { State = JsonSerializer.Deserialize(data.Span, state)!.ToState(bank.RecentCommands) });
    }

    /// <summary>A command as the journal knows it.</summary>
    internal static Command Identify(this CommandContext context, byte[] hash, Lane lane = Lane.Normal) => new(
        context.CommandId,
        hash,
        [
            new("correlation_id", context.CorrelationId),
            new("principal", context.Principal),
            // So that what follows from the event later, elsewhere, can be linked to what it came from.
            new("traceparent", Activity.Current is { Recorded: true } traced ? traced.Id : null),
        ],
        lane);
}
