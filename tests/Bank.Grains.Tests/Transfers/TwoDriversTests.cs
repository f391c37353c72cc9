using Bank.Contracts;
using Bank.Domain;
using Bank.Grains.TestHost;
using Bank.Testing;
using Orleans.EventSourcing.Postgres;
using Xunit;

namespace Bank.Grains.Tests.Transfers;

/// <summary>One transfer, two drivers, one of them held while the world changes: each step has one outcome, for both.</summary>
public sealed class TwoDriversTests(HeldSilos silos) : IClassFixture<HeldSilos>
{
    private const long Amount = 10_00;

    private IGrainFactory Held => silos.Held.Grains;

    private IGrainFactory Free => silos.Free.Grains;

    [Fact]
    public async Task A_source_that_was_too_poor_for_the_first_driver_pays_the_second() => await RaceAsync(
        source: await Free.OpenAsync(5_00),
        destination: await Free.OpenAsync(0),
        (source, _) => silos.Points.Hold(source, "TransferDeclined", Side.Before),
        (source, _) => Free.DepositAsync(source, 100_00),
        "TransferRequested TransferSent TransferReceived TransferCompleted");

    [Fact]
    public async Task A_destination_that_did_not_exist_for_the_first_driver_is_paid_by_the_second() => await RaceAsync(
        source: await Free.OpenAsync(100_00),
        destination: Guid.NewGuid(),
        (source, _) => silos.Points.Hold(source, "TransferDeclined", Side.Before),
        (_, destination) => Free.OpenAsync(0, id: destination),
        "TransferRequested TransferSent TransferReceived TransferCompleted");

    [Fact]
    public async Task A_source_that_was_emptied_while_the_first_driver_sent_declines_the_second() => await RaceAsync(
        source: await Free.OpenAsync(100_00),
        destination: await Free.OpenAsync(0),
        (source, _) => silos.Points.Hold(source, "TransferSent", Side.Before),
        (source, _) => Free.WithdrawAsync(source, 100_00),
        "TransferRequested TransferDeclined TransferRejected");

    [Fact]
    public async Task A_destination_that_was_closed_while_the_first_driver_credited_declines_the_second() => await RaceAsync(
        source: await Free.OpenAsync(100_00),
        destination: await Free.OpenAsync(0),
        (_, destination) => silos.Points.Hold(destination, "TransferReceived", Side.Before),
        (_, destination) => Free.CloseAsync(destination),
        "TransferRequested TransferSent TransferDeclined ReturnDecided TransferReturned TransferFailed");

    private async Task RaceAsync(
        Guid source, Guid destination, Func<Guid, Guid, Hold> hold, Func<Guid, Guid, Task> change, string steps)
    {
        var transfer = Guid.NewGuid();
        var first = hold(source, destination);
        _ = Held.TransferAsync(transfer, source, destination, Amount);
        await first.Reached;

        await change(source, destination);
        var second = await Free.EndAsync(transfer, source, destination, Amount);
        first.Release();
        var late = await Held.EndAsync(transfer, source, destination, Amount);

        Assert.Equal((second.Transfer, second.Code), (late.Transfer, late.Code));
        // That it is completed may be recorded after the answer.
        var last = steps.Split(' ')[^1];
        var recorded = await Eventually.UntilAsync(
            $"{last} is recorded",
            () => silos.StepsAsync(transfer),
            all => all.EndsWith(last, StringComparison.Ordinal),
            TimeSpan.FromSeconds(60));
        Assert.Equal(steps, recorded);
        await silos.CheckAsync();
    }

    [Theory]
    [InlineData("closed", "destination_closed")]
    [InlineData("filled", "destination_balance_too_large")]
    [InlineData("filled emptied closed", "destination_closed")]
    [InlineData("closed without-source", "destination_closed")]
    public async Task What_happens_to_the_destination_between_the_question_and_the_credit_sends_the_money_back(string what, string reason)
    {
        var (transfer, source, destination) = (Guid.NewGuid(), await Held.OpenAsync(30_00), await Held.OpenAsync(0));
        var credit = silos.Points.Hold(destination, "Receive", Side.Before);
        var request = Held.TransferAsync(transfer, source, destination, Amount);
        await credit.Reached;

        foreach (var change in what.Split(' '))
        {
            await (change switch
            {
                "closed" => Held.CloseAsync(destination),
                "filled" => TimesAsync(() => Held.DepositAsync(destination, Limits.Amount)),
                "emptied" => TimesAsync(() => Held.WithdrawAsync(destination, Limits.Amount)),
                _ => WithoutSourceAsync(),
            });
        }

        credit.Release();
        await request;
        var end = await Held.EndAsync(transfer, source, destination, Amount);

        Assert.Equal(("failed", reason), (end.Transfer, end.Code));
        Assert.Equal(
            "TransferRequested TransferSent TransferDeclined ReturnDecided TransferReturned TransferFailed",
            await silos.StepsAsync(transfer));
        var withdrawn = what.Contains("without-source", StringComparison.Ordinal);
        Assert.Equal(withdrawn ? Amount : 30_00, await Held.BalanceAsync(source));
        // An account that closed in between accepted what came back, and gives it to its owner.
        await Held.WithdrawAsync(source, Amount);
        await silos.CheckAsync();

        async Task WithoutSourceAsync()
        {
            await Held.WithdrawAsync(source, 20_00);
            await Held.CloseAsync(source);
        }

        static Task TimesAsync(Func<Task> act) =>
            Task.WhenAll(Enumerable.Range(0, (int)(Limits.Balance / Limits.Amount)).Select(_ => act()));
    }

    [Fact]
    public async Task A_driver_that_was_loaded_before_the_request_was_recorded_looks_for_it_when_it_is_told_to_resume()
    {
        var (transfer, source) = (Guid.NewGuid(), Guid.NewGuid());
        var destination = await Free.OpenAsync(0);
        await Free.GetGrain<ITransferGrain>(transfer).Resume();

        await Held.OpenAsync(100_00, id: source);
        var stopped = silos.Points.Hold(source, "Send", Side.Before);
        _ = Held.TransferAsync(transfer, source, destination, Amount);
        await stopped.Reached;

        await Free.GetGrain<ITransferGrain>(transfer).Resume();
        await Eventually.UntilAsync(
            "the other driver has completed the transfer",
            () => silos.StepsAsync(transfer),
            steps => steps.EndsWith("TransferCompleted", StringComparison.Ordinal),
            TimeSpan.FromSeconds(60));
        stopped.Release();
        Assert.Equal("completed", (await Held.EndAsync(transfer, source, destination, Amount)).Transfer);
        await silos.CheckAsync();
    }

    [Fact]
    public async Task No_money_is_sent_to_an_account_whose_opening_is_not_recorded_yet()
    {
        var (transfer, source, destination) = (Guid.NewGuid(), await Held.OpenAsync(100_00), Guid.NewGuid());
        var opening = silos.Points.Hold(destination, "AccountOpened", Side.Before);
        var opened = Held.GetGrain<IBankAccountGrain>(destination).Open("Ada", "USD", new(0, 2), new(Guid.NewGuid()));
        await opening.Reached;
        var send = silos.Points.Hold(source, "Send", Side.Before);
        _ = Held.TransferAsync(transfer, source, destination, Amount);

        // Time enough to go wrong in; it is not needed to go right.
        await Task.WhenAny(send.Reached, Task.Delay(TimeSpan.FromSeconds(1), TestContext.Current.CancellationToken));
        Assert.False(send.Reached.IsCompleted, "the destination has answered, and is not recorded");
        opening.Release(AppendOutcome.Unavailable.Instance);
        send.Release();

        Assert.Equal(ReplyStatus.JournalUnavailable, (await opened).Status);
        var end = await Held.EndAsync(transfer, source, destination, Amount);
        Assert.Equal(("rejected", "destination_not_found"), (end.Transfer, end.Code));
        Assert.Equal(100_00, await Held.BalanceAsync(source));
        await silos.CheckAsync();
    }
}
