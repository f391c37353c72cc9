using System.Text.Json;
using Bank.Domain;
using CsCheck;

namespace Bank.Events.Tests;

public class StoredAccountStateTests
{
    private static AccountState Folded(int capacity, int commands, bool closed)
    {
        static Guid Id(int n) => new(n, 0, 0, new byte[8]);

        var state = Account.Evolve(
            Account.Initial(capacity),
            new AccountOpened("Ada", "owner-1", Currency.Parse("KWD"), new(0, 3), new(0, 3)),
            Id(0));
        for (var n = 1; n < commands; n++)
            state = Account.Evolve(state, new TransferDeclined(new(Id(n)), Refusal.CurrencyMismatch), Id(n));
        return closed ? Account.Evolve(state, new AccountClosed(""), Id(commands)) : state;
    }

    private static StoredAccountState Stored(AccountState state)
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(StoredAccountState.Of(state), BankJson.Default.StoredAccountState);
        return JsonSerializer.Deserialize(json, BankJson.Default.StoredAccountState)!;
    }

    [Fact]
    public void Every_opened_account_comes_back_from_its_snapshot() =>
        Gen.Select(Gen.Int[1, 10], Gen.Int[1, 30], Gen.Bool).Sample((capacity, commands, closed) =>
        {
            var state = Folded(capacity, commands, closed);
            return Stored(state).ToState(capacity) == state;
        });

    [Fact]
    public void A_snapshot_keeps_its_shape() => Assert.Equal(
        """
        {"owner_name":"Ada","owner_id":"owner-1","currency":"KWD","balance":"0.000","closed":true,
        "recent_commands":["00000001-0000-0000-0000-000000000000","00000002-0000-0000-0000-000000000000"],"is_complete":false}
        """.Replace("\n", "", StringComparison.Ordinal),
        JsonSerializer.Serialize(StoredAccountState.Of(Folded(2, 2, closed: true)), BankJson.Default.StoredAccountState));

    [Fact]
    public void An_account_that_is_to_remember_less_forgets_the_oldest_and_knows_it()
    {
        var state = Stored(Folded(8, 6, closed: false)).ToState(4);
        Assert.Equal(4, state.RecentCommands.Ids.Length);
        Assert.False(state.RecentCommands.IsComplete);
    }
}
