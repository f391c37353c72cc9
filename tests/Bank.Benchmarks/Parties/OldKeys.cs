using System.Globalization;
using Bank.Benchmarks.Measuring;
using Bank.Contracts;
using Bank.Grains;

namespace Bank.Benchmarks.Parties;

/// <summary>
/// Deposits to any account, one in a hundred of them the retry of an old one: so old that its account no longer remembers it and only
/// the journal does.
/// </summary>
internal sealed class OldKeys
{
    private const int Old = 20;

    private readonly BankInProcess _bank;
    private readonly int _accounts;

    private OldKeys(BankInProcess bank, int accounts) => (_bank, _accounts) = (bank, accounts);

    /// <summary>Gives some of the accounts old deposits, and enough newer ones to forget them.</summary>
    public static async Task<OldKeys> PrepareAsync(BankInProcess bank, Comparison comparison)
    {
        var keys = new OldKeys(bank, comparison.Pace.IsQuick ? 10 : 500);
        var each = Old + new BankOptions().RecentCommands;
        comparison.Say($"{each} deposits to each of {keys._accounts} accounts, so that the first {Old} are forgotten");
        // Account by account in each turn, so that the old ones come before all others.
        await BankInProcess.DepositAsync(keys._accounts * each, n => keys.Of(n % keys._accounts), n => Key(n / keys._accounts));
        return keys;
    }

    public LoadParty InFlight(int callers)
    {
        return new(
            $"1% old keys, {callers} in flight", "commands/s",
            (time, cancellation) => Load.RunAsync(callers, time, DepositAsync, cancellation));

        async Task DepositAsync(int caller)
        {
            if (Random.Shared.Next(100) == 0)
            {
                var reply = await Of(Random.Shared.Next(_accounts)).DepositAsync(Key(Random.Shared.Next(Old)));
                if (reply is not { Status: ReplyStatus.Done, Replayed: true })
                    throw new InvalidOperationException($"An old command got {reply}.");
                return;
            }

            BankInProcess.Expect(await Of(Random.Shared.Next(_bank.Accounts.Count)).DepositAsync(BankInProcess.NewKey()));
        }
    }

    private BankAccount Of(int n) => _bank.Accounts[n];

    private static string Key(int n) => string.Create(CultureInfo.InvariantCulture, $"old-{n}");
}
