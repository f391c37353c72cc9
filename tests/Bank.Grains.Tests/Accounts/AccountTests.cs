using Bank.Contracts;
using Xunit;

namespace Bank.Grains.Tests.Accounts;

/// <summary>One account, as its callers see it.</summary>
public sealed class AccountTests(BankSilo bank) : IClassFixture<BankSilo>
{
    [Fact]
    public async Task An_account_that_was_opened_can_be_read()
    {
        var account = bank.Grains.GetGrain<IBankAccountGrain>(Guid.NewGuid());

        var opened = await account.Open("Ada", "USD", new(1000, 2), new(Guid.NewGuid()));

        Assert.Equal(
            (ReplyStatus.Done, 1000L, "USD", 1L, false),
            (opened.Status, opened.BalanceMinorUnits, opened.Currency, opened.Version, opened.Replayed));
        var read = await account.Read();
        Assert.Equal(("Ada", 1000L, 1), (read.Account!.OwnerName, read.Account.BalanceMinorUnits, read.Account.Version));
    }
}
