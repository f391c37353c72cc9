using System.Diagnostics;
using System.Globalization;
using Bank.Benchmarks.Measuring;
using Bank.Testing;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Core.Internal;
using Orleans.EventSourcing.Postgres;
using Orleans.Runtime;

namespace Bank.Benchmarks.Parties;

/// <summary>Accounts that are in the journal and not in memory. The first one has a long history.</summary>
internal sealed class ColdAccounts
{
    private readonly BankInProcess _bank;
    private readonly IManagementGrain _management;
    private readonly IJournalReader _reader;
    private int _keys;

    private ColdAccounts(BankInProcess bank, int events)
    {
        _bank = bank;
        _management = bank.Services.GetRequiredService<IGrainFactory>().GetGrain<IManagementGrain>(0);
        _reader = bank.Services.GetRequiredService<IJournalReader>();
        Events = events;
    }

    /// <summary>How many the long history had at first.</summary>
    public int Events { get; }

    private BankAccount Long => _bank.Accounts[0];

    public static async Task<ColdAccounts> PrepareAsync(BankInProcess bank, Comparison comparison)
    {
        var cold = new ColdAccounts(bank, comparison.Pace.IsQuick ? 2_000 : 100_000);
        comparison.Say($"{cold.Events:N0} events for one account");
        await BankInProcess.DepositAsync(
            cold.Events - 1, _ => cold.Long, n => string.Create(CultureInfo.InvariantCulture, $"history-{n}"));
        return cold;
    }

    /// <summary>A command on the account with the long history, after it has left memory.</summary>
    public Party FirstCommand(string name) => new(name, async (time, cancellation) =>
    {
        var latencies = new List<TimeSpan>();
        for (var began = Stopwatch.GetTimestamp(); latencies.Count == 0 || Stopwatch.GetElapsedTime(began) < time;)
        {
            await Long.Grain.AsReference<IGrainManagementExtension>().DeactivateOnIdle(cancellation);
            await Eventually.UntilAsync(
                "the account has left memory",
                () => _management.GetDetailedGrainStatistics(),
                activations => activations.All(activation => activation.GrainId != Long.Grain.GetGrainId()),
                TimeSpan.FromSeconds(60));
            cancellation.ThrowIfCancellationRequested();
            latencies.Add(await DepositAsync(Long));
        }

        var result = new LoadResult(latencies.Count, [.. latencies.Order()]);
        return [new(name, result.Milliseconds(0.5), "ms"), new($"{name}, slowest", result.Milliseconds(1), "ms")];
    });

    /// <summary>The first command on each of the other accounts, one after the other, after all have left memory.</summary>
    public Party Activations(string name) => new(name, async (_, cancellation) =>
    {
        await _management.ForceActivationCollection(TimeSpan.Zero, cancellation);
        await Eventually.UntilAsync(
            "all accounts have left memory",
            () => _management.GetSimpleGrainStatistics(),
            kinds => !kinds.Any(kind => kind.GrainType.Contains("BankAccountGrain", StringComparison.Ordinal) && kind.ActivationCount > 0),
            TimeSpan.FromSeconds(60));
        var began = Stopwatch.GetTimestamp();
        var latencies = new List<TimeSpan>();
        foreach (var account in _bank.Accounts.Skip(1))
        {
            cancellation.ThrowIfCancellationRequested();
            latencies.Add(await DepositAsync(account));
        }

        return new LoadResult(latencies.Count / Stopwatch.GetElapsedTime(began).TotalSeconds, [.. latencies.Order()])
            .Samples(name, "commands/s");
    });

    /// <summary>The whole of the long history, page by page.</summary>
    public Party History(string name) => new(name, async (_, cancellation) =>
    {
        const int page = 1_000;
        var began = Stopwatch.GetTimestamp();
        var read = 0;
        for (IReadOnlyList<RecordedEvent>? events = null; events is null || events.Count == page; read += events.Count)
            events = await _reader.ReadStreamAsync($"account-{Long.Id}", read + 1, page, cancellation);
        var took = Stopwatch.GetElapsedTime(began);
        return [new(name, read / took.TotalSeconds, "events/s"), new($"{name}, all", took.TotalMilliseconds, "ms")];
    });

    private async Task<TimeSpan> DepositAsync(BankAccount account)
    {
        var key = string.Create(CultureInfo.InvariantCulture, $"cold-{_keys++}");
        var began = Stopwatch.GetTimestamp();
        BankInProcess.Expect(await account.DepositAsync(key));
        return Stopwatch.GetElapsedTime(began);
    }
}
