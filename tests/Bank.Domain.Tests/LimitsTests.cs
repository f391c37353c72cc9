using Bank.Domain;

namespace Bank.Domain.Tests;

public class LimitsTests
{
    [Fact]
    public void Lengths_count_characters_and_not_their_halves()
    {
        Assert.True(Limits.IsOwnerName(string.Concat(Enumerable.Repeat("😀", 200))));
        Assert.False(Limits.IsOwnerName(new string('x', 201)));
        Assert.True(Limits.IsText(new string('x', 500)));
        Assert.False(Limits.IsText(new string('x', 501)));
    }

    // In code and not in attributes, whose strings are UTF-8: a lone surrogate does not survive that.
    [Fact]
    public void What_no_journal_can_keep_is_no_text() => Assert.All(["a\0b", "\ud83d", "\ude00x", "x\ud83dx"], text =>
    {
        Assert.False(Limits.IsText(text));
        Assert.False(Limits.IsOwnerName(text));
    });

    [Fact]
    public void An_owner_has_a_name_and_a_description_may_be_empty()
    {
        Assert.False(Limits.IsOwnerName(""));
        Assert.True(Limits.IsText(""));
    }

    [Theory]
    [InlineData("k", true)]
    [InlineData("!~-_.:/", true)]
    [InlineData("", false)]
    [InlineData("a b", false)]
    [InlineData("a\u007f", false)]
    [InlineData("é", false)]
    public void A_key_is_visible_ASCII(string key, bool valid) => Assert.Equal(valid, Limits.IsIdempotencyKey(key));

    [Fact]
    public void A_key_has_at_most_255_characters()
    {
        Assert.True(Limits.IsIdempotencyKey(new string('k', 255)));
        Assert.False(Limits.IsIdempotencyKey(new string('k', 256)));
    }
}
