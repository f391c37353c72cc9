using Bank.Domain;

namespace Bank.Domain.Tests;

// What is pinned here was computed apart from this code. Ids lie in journals: none may ever change.
public class DerivedIdTests
{
    private static readonly AccountId Opened = new(new("7e04a344-099c-5124-aab5-df9d97b44be2"));
    private static readonly Guid Command = new("c7a40a4f-a37e-558b-b62a-5b020edff714");

    [Fact]
    public void A_key_opens_one_account()
    {
        Assert.Equal(Opened, DerivedId.Account("k1"));
        Assert.Equal(new("1046c9ee-36f8-5b69-84cd-e9b3273ef031"), DerivedId.Opening(Opened));
        Assert.NotEqual(Opened, DerivedId.Account("k2"));
    }

    [Fact]
    public void A_command_follows_from_its_account_and_key() => Assert.Equal(Command, DerivedId.Command(Opened, "k1"));

    [Fact]
    public void A_transfer_takes_the_key_of_a_command_of_its_source() => Assert.Equal(Command, DerivedId.Transfer(Opened, "k1").Value);

    [Theory]
    [InlineData(TransferStep.Source, "14fb8170-8e7a-5cd9-88b4-1b8e3dba7730")]
    [InlineData(TransferStep.Destination, "4cfa6e8d-a0ff-5ffb-8156-9ef27e40bec2")]
    [InlineData(TransferStep.Return, "12506d4f-effc-58c8-a7f9-8d1f8b084255")]
    [InlineData(TransferStep.Outcome, "58c4d500-e679-5511-8eb1-7acdf74751a2")]
    [InlineData(TransferStep.End, "3e9fbcad-d803-5d2f-8221-a3258ccff48a")]
    public void A_step_follows_from_its_transfer(TransferStep step, string id) =>
        Assert.Equal(new(id), DerivedId.Step(new(Command), step));

    [Fact]
    public void What_follows_from_a_key_with_a_time_begins_with_that_time()
    {
        var transfer = DerivedId.Transfer(Opened, "01a23179-de00-7abc-8def-0123456789ab");

        Assert.Equal(new("01a23179-de00-8fd6-ab95-1faebe49a8f7"), transfer.Value);
        Assert.Equal(new("01a23179-de00-8d35-a03c-77ae0af212d7"), DerivedId.Step(transfer, TransferStep.Source));
        Assert.NotEqual(transfer, DerivedId.Transfer(new(Command), "01a23179-de00-7abc-8def-0123456789ab"));
        Assert.NotEqual(transfer, DerivedId.Transfer(Opened, "01a23179-de00-7abc-8def-0123456789ac"));
    }

    [Fact]
    public void No_time_is_too_late_for_an_id() =>
        Assert.Equal("ffffffff-ffff-8", $"{DerivedId.Command(Opened, "ffffffff-ffff-7fff-bfff-ffffffffffff")}"[..15]);

    [Theory]
    [InlineData("01a23179-ddff-7abc-8def-0123456789ab")] // Made before times were kept.
    [InlineData("01a23179-de00-4abc-8def-0123456789ab")]
    [InlineData("01a23179de007abc8def0123456789ab")]
    [InlineData("k1")]
    public void What_follows_from_any_other_key_is_its_name(string key) =>
        Assert.Equal(Uuid.V5(Opened.Value, "key:" + key), DerivedId.Command(Opened, key));

    [Fact]
    public void A_stream_is_named_after_its_id()
    {
        Assert.Equal("account-7e04a344-099c-5124-aab5-df9d97b44be2", Opened.StreamId);
        Assert.Equal("transfer-c7a40a4f-a37e-558b-b62a-5b020edff714", new TransferId(Command).StreamId);
        Assert.True(AccountId.TryParseStream(Opened.StreamId, out var account) && account == Opened);
        Assert.True(TransferId.TryParseStream(new TransferId(Command).StreamId, out var transfer) && transfer.Value == Command);
        Assert.False(AccountId.TryParseStream(new TransferId(Command).StreamId, out _));
        Assert.False(TransferId.TryParseStream(Opened.StreamId, out _));
    }
}
