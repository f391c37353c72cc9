using Orleans.EventSourcing.Postgres.Tests.Hosting;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.LogConsistency;

/// <summary>A stream that is expected to be new when its grain is activated: right or wrong, the answers are those of any other.</summary>
public sealed class NewStreamTests(OneSilo silo) : IClassFixture<OneSilo>, IDisposable
{
    private readonly string _key = Guid.NewGuid().ToString("n");
    private int _loads;

    private string Stream => $"new_purse-{_key}";

    private INewPurse Purse => silo.First.Grains.GetGrain<INewPurse>(_key);

    public void Dispose() => silo.Journal.Calm();

    [Fact]
    public async Task It_is_not_read_before_it_is_written_nor_before_it_is_said_to_be_empty()
    {
        CountLoads();

        Assert.Equal(new("Confirmed", 0, 0), await Purse.Take(Guid.NewGuid(), 1) with { Head = 0 });
        Assert.Equal(new("Appended", 100, 1), await Purse.Put(Guid.NewGuid(), 100));
        Assert.Equal(new("Appended", 70, 2), await Purse.Take(Guid.NewGuid(), 30));

        Assert.Equal(0, _loads);
    }

    [Theory]
    [InlineData("put", "Appended", 107, 3)]
    [InlineData("take", "Appended", 93, 3)]
    [InlineData("take too much", "Confirmed", 100, 2)]
    [InlineData("read", "Confirmed", 100, 2)]
    [InlineData("put again", "AlreadyAppended", 100, 2)]
    [InlineData("put otherwise", "IdReused", 100, 2)]
    public async Task One_that_is_there_is_loaded_by_whatever_comes_first(string what, string outcome, long balance, int version)
    {
        var command = Guid.NewGuid();
        await Purse.Put(command, 60);
        await Purse.Put(Guid.NewGuid(), 40);
        await Purse.Leave();
        await silo.GoneAsync(Purse);
        CountLoads();

        var reply = await (what switch
        {
            "put" => Purse.Put(Guid.NewGuid(), 7),
            "take" => Purse.Take(Guid.NewGuid(), 7),
            "take too much" => Purse.Take(Guid.NewGuid(), 101),
            "put again" => Purse.Put(command, 60),
            "put otherwise" => Purse.Put(command, 61),
            _ => Purse.Read(),
        });

        Assert.Equal(new(outcome, balance, version), reply with { Head = 0 });
        Assert.Equal(1, _loads);
        Assert.Equal(version, await silo.CountAsync(Stream));
    }

    [Fact]
    public async Task Commands_that_come_together_find_it_in_their_order()
    {
        await Purse.Put(Guid.NewGuid(), 100);
        await Purse.Leave();
        await silo.GoneAsync(Purse);

        Task<PurseReply>[] together =
        [
            Purse.Take(Guid.NewGuid(), 80), Purse.Take(Guid.NewGuid(), 80), Purse.Put(Guid.NewGuid(), 5), Purse.Take(Guid.NewGuid(), 25),
        ];

        Assert.Equal(["Appended", "Confirmed", "Appended", "Appended"], (await Task.WhenAll(together)).Select(reply => reply.Outcome));
        Assert.Equal(0, (await Purse.Read()).Balance);
    }

    private void CountLoads() => silo.Journal.OnLoad = stream =>
    {
        if (stream == Stream)
            Interlocked.Increment(ref _loads);
        return Task.CompletedTask;
    };
}
