using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Journal;

public sealed class EventMetadataTests
{
    [Theory]
    [InlineData("n")]
    [InlineData("of")]
    [InlineData("command")]
    [InlineData("hash")]
    public void A_name_that_the_engine_keeps_for_itself_is_refused(string name)
    {
        var refused = Assert.Throws<ArgumentException>(() => EventMetadata.Write(1, 1, Guid.Empty, [1], [new(name, "1")]));

        Assert.Contains($"\"{name}\"", refused.Message, StringComparison.Ordinal);
    }
}
