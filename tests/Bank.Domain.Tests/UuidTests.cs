using Bank.Domain;

namespace Bank.Domain.Tests;

public class UuidTests
{
    private static readonly Guid Dns = new("6ba7b810-9dad-11d1-80b4-00c04fd430c8");

    [Fact]
    public void Version_5_agrees_with_the_example_of_RFC_9562() =>
        Assert.Equal(new("2ed6657d-e927-568b-95e1-2665a8aea6a2"), Uuid.V5(Dns, "www.example.com"));

    [Fact]
    public void A_long_name_counts_as_UTF_8() =>
        Assert.Equal(new("ee68f9da-f25f-56e1-a376-9cf8eedf8e10"), Uuid.V5(Dns, new string('é', 400)));

    [Theory]
    [InlineData("2ed6657d-e927-568b-95e1-2665a8aea6a2")]
    [InlineData("2ED6657D-E927-568B-95E1-2665A8AEA6A2")]
    [InlineData("00000000-0000-0000-0000-000000000000")]
    public void The_plain_form_is_read_in_either_case(string text)
    {
        Assert.True(Uuid.TryParse(text, out var id));
        Assert.Equal(text.ToLowerInvariant(), id.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("2ed6657de927568b95e12665a8aea6a2")]
    [InlineData("{2ed6657d-e927-568b-95e1-2665a8aea6a2}")]
    [InlineData(" 2ed6657d-e927-568b-95e1-2665a8aea6a2")]
    [InlineData("2ed6657d-e927-568b-95e1-2665a8aea6a2 ")]
    [InlineData("2ed6657d-e927-568b-95e1-2665a8aea6a")]
    [InlineData("2ed6657d-e927-568b-95e1-2665a8aea6ag")]
    [InlineData("2ed6657d+e927-568b-95e1-2665a8aea6a2")]
    [InlineData("+ed6657d-e927-568b-95e1-2665a8aea6a2")]
    [InlineData("0xd6657d-e927-568b-95e1-2665a8aea6a2")]
    [InlineData("２ed6657d-e927-568b-95e1-2665a8aea6a2")]
    public void Any_other_form_is_refused(string text) => Assert.False(Uuid.TryParse(text, out _));
}
