using Bank.Contracts;
using Bank.Domain;
using Bank.Host.Commands;
using Xunit;

namespace Bank.Grains.Tests.Transfers;

/// <summary>Transfers as their callers see them.</summary>
public sealed class TransferTests(BankSilo bank) : IClassFixture<BankSilo>
{
    private const string Malformed = "amount";

    [Theory]
    [InlineData("USD 100", "USD 0", 10_00, "completed", null, "TransferRequested TransferSent TransferReceived TransferCompleted")]
    [InlineData("USD 10", "USD 0", 10_00, "completed", null, "TransferRequested TransferSent TransferReceived TransferCompleted")]
    [InlineData("USD 9", "USD 0", 10_00, "rejected", "insufficient_funds", "TransferRequested TransferDeclined TransferRejected")]
    [InlineData("closed", "USD 0", 10_00, "rejected", "account_closed", "TransferRequested TransferDeclined TransferRejected")]
    [InlineData("USD 100", "closed", 10_00, "rejected", "destination_closed", "TransferRequested TransferDeclined TransferRejected")]
    [InlineData("USD 100", "none", 10_00, "rejected", "destination_not_found", "TransferRequested TransferDeclined TransferRejected")]
    [InlineData("USD 100", "EUR 0", 10_00, "rejected", "currency_mismatch", "TransferRequested TransferDeclined TransferRejected")]
    [InlineData("none", "USD 0", 10_00, null, "account_not_found", "")]
    [InlineData("USD 100", "same", 10_00, null, "same_account", "")]
    [InlineData("USD 100", "USD 0", 0, null, Malformed, "")]
    [InlineData("USD 100", "USD 0", Limits.Amount + 1, null, Malformed, "")]
    public async Task Each_request_has_its_end_and_each_refusal_its_code(
        string from, string to, long amount, string? end, string? code, string steps)
    {
        var (transfer, source) = (Guid.NewGuid(), await AccountAsync(from));
        var destination = to == "same" ? source : await AccountAsync(to);

        var reply = await bank.Grains.TransferAsync(transfer, source, destination, amount);
        if (reply.Transfer == "running")
            reply = await bank.Grains.EndAsync(transfer, source, destination, amount);

        var status = end is not null ? ReplyStatus.Done : code == Malformed ? ReplyStatus.Malformed : ReplyStatus.Refused;
        Assert.Equal((status, end, code), (reply.Status, reply.Transfer, reply.Code));
        var recorded = await StepsAsync(transfer);
        // The client need not wait for the completion.
        Assert.Equal(steps, end == "completed" && !recorded.Contains("Completed", StringComparison.Ordinal)
            ? recorded + " TransferCompleted"
            : recorded);
        var moved = end == "completed" ? amount : 0;
        Assert.Equal((Funds(from) - moved, to == "same" ? Funds(from) : Funds(to) + moved), (await Held(source), await Held(destination)));
        if (end is not null)
        {
            var again = await bank.Grains.TransferAsync(transfer, source, destination, amount);
            Assert.Equal(
                (ReplyStatus.Done, end, code, reply.BalanceMinorUnits, true),
                (again.Status, again.Transfer, again.Code, again.BalanceMinorUnits, again.Replayed));
            var other = await bank.Grains.TransferAsync(transfer, source, destination, amount + 1);
            Assert.Equal(ReplyStatus.KeyReused, other.Status);
        }

        Assert.Empty((await Check.ReadAsync(bank.Database.App, TestContext.Current.CancellationToken)).Violations);
    }

    [Fact]
    public async Task A_key_that_was_used_for_a_deposit_makes_no_transfer()
    {
        var (source, destination, id) = (await AccountAsync("USD 100"), await AccountAsync("USD 0"), Guid.NewGuid());
        await bank.Grains.GetGrain<IBankAccountGrain>(source).Deposit(new(1_00, 2), "", new(id));

        Assert.Equal(ReplyStatus.KeyReused, (await bank.Grains.TransferAsync(id, source, destination, 1_00)).Status);
        Assert.Equal((101_00, 0), (await Held(source), await Held(destination)));
    }

    [Fact]
    public async Task Of_a_thousand_transfers_out_of_an_account_that_can_pay_ten_exactly_ten_succeed()
    {
        var source = await AccountAsync("USD 100");
        var destinations = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => AccountAsync("USD 0")));

        var ends = await Task.WhenAll(Enumerable.Range(0, 1000).Select(async n =>
            await bank.Grains.EndAsync(Guid.NewGuid(), source, destinations[n % 10], 10_00)));

        Assert.Equal((10, 990), (ends.Count(e => e.Transfer == "completed"), ends.Count(e => e.Code == "insufficient_funds")));
        Assert.Equal(0, await Held(source));
        Assert.Equal(100_00, (await Task.WhenAll(destinations.Select(Held))).Sum());
        Assert.Empty((await Check.ReadAsync(bank.Database.App, TestContext.Current.CancellationToken)).Violations);
    }

    private async Task<Guid> AccountAsync(string kind)
    {
        if (kind == "none")
            return Guid.NewGuid();
        var account = await bank.Grains.OpenAsync(Funds(kind), kind == "closed" ? "USD" : kind[..3]);
        if (kind == "closed")
            await bank.Grains.CloseAsync(account);
        return account;
    }

    private static long Funds(string kind) => kind.Contains(' ', StringComparison.Ordinal)
        ? long.Parse(kind[4..], System.Globalization.CultureInfo.InvariantCulture) * 100
        : 0;

    private async Task<long> Held(Guid account) =>
        (await bank.Grains.GetGrain<IBankAccountGrain>(account).Read()).Account?.BalanceMinorUnits ?? 0;

    private Task<string> StepsAsync(Guid transfer) => bank.ScalarAsync<string>(
        $"""
        SELECT coalesce(string_agg(event_type, ' ' ORDER BY position), '') FROM journal.events
        WHERE stream_id = 'transfer-{transfer}' OR data ->> 'transfer_id' = '{transfer}'
        """);
}
