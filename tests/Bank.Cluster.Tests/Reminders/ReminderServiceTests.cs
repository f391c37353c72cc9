using Bank.Testing;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Runtime;
using Xunit;

namespace Bank.Cluster.Tests.Reminders;

/// <summary>Reminders as grains know them, over silos that come and go.</summary>
public sealed class ReminderServiceTests(TwoSilos cluster) : IClassFixture<TwoSilos>
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Reminders_all_over_the_ring_fire_move_to_the_silos_that_remain_and_end()
    {
        var third = await cluster.StartSiloAsync();
        var grains = Enumerable.Range(0, 32).Select(_ => cluster.First.Grains.GetGrain<IReminded>(Guid.NewGuid())).ToList();
        Assert.Contains(grains, g => g.GetGrainId().GetUniformHashCode() < 0x8000_0000);
        Assert.Contains(grains, g => g.GetGrainId().GetUniformHashCode() >= 0x8000_0000);

        await Task.WhenAll(grains.Select(g => g.RegisterAsync()));
        await TickAsync(grains, "with three silos");

        await third.DropAsync();
        await third.DisposeAsync();
        await Task.WhenAll(grains.Select(g => g.ForgetTicksAsync()));
        await TickAsync(grains, "after one of three silos is gone");

        // One goes on: when it has fired several times, the others would have fired, too.
        var (witness, ended) = (grains[0], grains[1..]);
        await Task.WhenAll(ended.Select(g => g.UnregisterAsync()));
        // What was under way when it was ended still comes.
        await witness.ForgetTicksAsync();
        await TickAsync([witness], "though the others have ended");
        await Task.WhenAll(grains.Select(g => g.ForgetTicksAsync()));
        await Eventually.UntilAsync("the one left fires", witness.TicksAsync, ticks => ticks >= 5, TimeSpan.FromSeconds(20));
        Assert.Equal(0, (await Task.WhenAll(ended.Select(g => g.TicksAsync()))).Sum());
        var rows = await cluster.First.Services.GetRequiredService<IReminderTable>().ReadRows(0, 0, Cancelled);
        Assert.Equal(witness.GetGrainId(), Assert.Single(rows.Reminders).GrainId);
    }

    private static Task<int[]> TickAsync(List<IReminded> grains, string when) => Eventually.UntilAsync(
        $"every reminder fires twice {when}",
        async () => await Task.WhenAll(grains.Select(g => g.TicksAsync())),
        ticks => ticks.All(n => n >= 2),
        TimeSpan.FromSeconds(20));
}

public interface IReminded : IGrainWithGuidKey
{
    Task RegisterAsync();

    Task UnregisterAsync();

    Task<int> TicksAsync();

    Task ForgetTicksAsync();
}

public sealed class RemindedGrain : Grain, IReminded, IRemindable
{
    private const string Name = "often";

    private int ticks;

    public async Task RegisterAsync() =>
        await this.RegisterOrUpdateReminder(Name, TimeSpan.FromMilliseconds(100), TimeSpan.FromMilliseconds(200));

    public async Task UnregisterAsync() => await this.UnregisterReminder((await this.GetReminder(Name))!);

    public Task<int> TicksAsync() => Task.FromResult(ticks);

    public Task ForgetTicksAsync() => Task.FromResult(ticks = 0);

    public Task ReceiveReminder(string reminderName, TickStatus status) => Task.FromResult(ticks++);
}
