using Bank.Domain;

namespace Bank.Domain.Tests;

// The expected hashes were computed apart from this code. They lie in journals: none may ever change.
public class CommandHashTests
{
    private static readonly TransferId Transfer = new(new("00000000-0000-0000-0000-0000000000a1"));
    private static readonly AccountId Other = new(new("00000000-0000-0000-0000-0000000000b2"));
    private static readonly Currency Usd = Currency.Parse("USD");
    private static readonly Money Seven = Money.Parse("7.00");

    public static TheoryData<AccountCommand, string> Pinned => new()
    {
        { new OpenAccount("Ada Lovelace", null, Usd, Money.Parse("100.00")), "ec71c8b00c7b5b29cbb3172e4a4e023b" },
        { new Deposit(Money.Parse("12.50"), "pay"), "8b98b56af04524ec84361fbff4746d11" },
        { new Withdraw(Money.Parse("12.5"), "pay"), "a19514cf19bf6e8f3e315a454428859f" },
        { new CloseAccount("Zoë"), "b0a290ec51a28c2287fe143ee5e1317a" },
        { new SendTransfer(Transfer, Other, Seven, Usd, "rent", null), "f69371b0e81c17c6aa104ad2130c9aa0" },
        { new ReceiveTransfer(Transfer, Other, Seven, Usd, "rent"), "19bed6be19a9cf87503cc113cf8264d0" },
        { new ReturnTransfer(Transfer, Other, Seven, "rent"), "e2a02e994a8c21a947fc009826f51bfc" },
    };

    [Theory]
    [MemberData(nameof(Pinned))]
    public void A_hash_never_changes(AccountCommand command, string hash) =>
        Assert.Equal(hash, Convert.ToHexStringLower(CommandHash.Of(command)));

    [Fact]
    public void The_hash_of_a_transfer_never_changes_and_does_not_depend_on_what_the_source_answered()
    {
        foreach (var currency in (Currency[])[Usd, Currency.Parse("KWD")])
        {
            var hash = CommandHash.Of(new RequestTransfer(new(Guid.Empty), Other, Seven, currency, "rent"));
            Assert.Equal("0d52852c1e5755e8654b093b96290200", Convert.ToHexStringLower(hash));
        }
    }

    [Fact]
    public void A_step_that_a_transfer_records_has_a_hash_of_its_own() => Assert.Distinct(
        new TransferEvent[]
        {
            new TransferCompleted(),
            new TransferRejected(Refusal.AccountClosed),
            new ReturnDecided(Refusal.AccountClosed),
            new TransferFailed(Refusal.AccountClosed),
            new TransferFailed(Refusal.CurrencyMismatch),
        }.Select(e => Convert.ToHexStringLower(CommandHash.Of(e))));

    [Fact]
    public void An_amount_counts_and_not_how_it_is_written()
    {
        var hash = CommandHash.Of(new Deposit(Money.Parse("10"), ""));
        Assert.Equal(hash, CommandHash.Of(new Deposit(Money.Parse("10.0"), "")));
        Assert.Equal(hash, CommandHash.Of(new Deposit(Money.Parse("10.00"), "")));
        Assert.NotEqual(hash, CommandHash.Of(new Deposit(Money.Parse("1.00"), "")));
    }

    [Fact]
    public void Fields_do_not_run_into_each_other() => Assert.NotEqual(
        CommandHash.Of(new Deposit(Money.Parse("1"), "2x")), CommandHash.Of(new Deposit(Money.Parse("12"), "x")));

    [Fact]
    public void What_a_destination_answered_is_not_part_of_what_was_asked() => Assert.Equal(
        CommandHash.Of(new SendTransfer(Transfer, Other, Seven, Usd, "rent", null)),
        CommandHash.Of(new SendTransfer(Transfer, Other, Seven, Usd, "rent", Refusal.DestinationClosed)));
}
