using Microsoft.Extensions.DependencyInjection;
using Orleans.Runtime;
using Xunit;

namespace Bank.Cluster.Tests.Reminders;

/// <summary>What Orleans asks of the reminder table, through its own provider; each test has grains of its own.</summary>
public sealed class ReminderTableTests(TwoSilos cluster) : IClassFixture<TwoSilos>
{
    private static readonly DateTime Noon = new(2026, 3, 15, 12, 0, 0, DateTimeKind.Utc);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private IReminderTable Table => cluster.First.Services.GetRequiredService<IReminderTable>();

    [Fact]
    public async Task A_reminder_reads_back_as_it_was_written()
    {
        var grain = NewGrain();
        var daily = Reminder(grain, "daily", TimeSpan.FromDays(1));
        var yearly = Reminder(grain, "yearly", TimeSpan.FromDays(365));
        daily.ETag = (await Table.UpsertRow(daily, Cancelled))!;
        yearly.ETag = (await Table.UpsertRow(yearly, Cancelled))!;
        await Table.UpsertRow(Reminder(NewGrain(), "daily"), Cancelled);

        var rows = (await Table.ReadRows(grain, Cancelled)).Reminders.OrderBy(r => r.ReminderName).ToList();

        Same(daily, rows[0]);
        Same(yearly, rows[1]);
        Assert.Equal(2, rows.Count);
        Same(yearly, (await Table.ReadRow(grain, "yearly", Cancelled))!);
        Assert.Null(await Table.ReadRow(grain, "never", Cancelled));
        Assert.Empty((await Table.ReadRows(NewGrain(), Cancelled)).Reminders);

        static void Same(ReminderEntry expected, ReminderEntry actual) => Assert.Equal(
            (expected.GrainId, expected.ReminderName, expected.StartAt, expected.Period, expected.ETag),
            (actual.GrainId, actual.ReminderName, actual.StartAt, actual.Period, actual.ETag));
    }

    [Fact]
    public async Task Every_range_of_the_ring_yields_exactly_the_reminders_in_it()
    {
        var grains = Enumerable.Range(0, 128).Select(_ => NewGrain()).ToDictionary(g => g, g => g.GetUniformHashCode());
        foreach (var grain in grains.Keys)
        {
            await Table.UpsertRow(Reminder(grain, "ring"), Cancelled);
        }
        var one = grains.Values.First();
        (uint Begin, uint End)[] ranges =
        [
            (0, 0x4000_0000), (0x4000_0000, 0xC000_0000), (0x9000_0000, 0xF000_0000), (0xC000_0000, 0x4000_0000),
            (0xF000_0000, 0xE000_0000), (0x6000_0000, 0x5000_0000), (0x7FFF_FFFF, 0x8000_0000), (0, uint.MaxValue), (uint.MaxValue, 0),
            (0x8000_0000, 0x7FFF_FFFF), (0, 0), (0xC000_0000, 0xC000_0000), (one, one + 1), (one - 1, one), (one, one - 1),
        ];

        foreach (var (begin, end) in ranges)
        {
            // Where a point lies is how far it is from the begin, going up: the same count whatever the numbers' signs.
            var expected = grains.Where(g => begin == end || g.Value - begin is > 0 and var way && way <= end - begin).Select(g => g.Key);
            var actual = (await Table.ReadRows(begin, end, Cancelled)).Reminders.Select(r => r.GrainId).Where(grains.ContainsKey);
            Assert.Equal(expected.Order(), actual.Order());
        }
    }

    [Fact]
    public async Task A_reminder_is_removed_only_at_the_version_that_is_held()
    {
        var grain = NewGrain();
        var first = await Table.UpsertRow(Reminder(grain, "r"), Cancelled);
        var second = await Table.UpsertRow(Reminder(grain, "r", TimeSpan.FromHours(2)), Cancelled);

        Assert.NotEqual(first, second);
        Assert.False(await Table.RemoveRow(grain, "r", first!, Cancelled));
        Assert.Equal(TimeSpan.FromHours(2), (await Table.ReadRow(grain, "r", Cancelled))!.Period);
        Assert.True(await Table.RemoveRow(grain, "r", second!, Cancelled));
        Assert.False(await Table.RemoveRow(grain, "r", second!, Cancelled));
        Assert.Null(await Table.ReadRow(grain, "r", Cancelled));
    }

    [Fact]
    public async Task A_reminder_registered_anew_is_not_removed_by_who_held_the_old_one()
    {
        var grain = NewGrain();
        var old = await Table.UpsertRow(Reminder(grain, "r"), Cancelled);
        Assert.True(await Table.RemoveRow(grain, "r", old!, Cancelled));
        await Table.UpsertRow(Reminder(grain, "r"), Cancelled);

        Assert.False(await Table.RemoveRow(grain, "r", old!, Cancelled));
        Assert.NotNull(await Table.ReadRow(grain, "r", Cancelled));
    }

    [Fact]
    public async Task Registrations_that_race_leave_one_reminder_and_each_has_a_version_of_its_own()
    {
        var grain = NewGrain();

        var versions = await Task.WhenAll(Enumerable.Range(1, 24).Select(
            n => Table.UpsertRow(Reminder(grain, "r", TimeSpan.FromHours(n)), Cancelled)));

        var left = Assert.Single((await Table.ReadRows(grain, Cancelled)).Reminders);
        Assert.Equal(24, versions.Distinct().Count());
        Assert.Equal(left.Period, TimeSpan.FromHours(1 + Array.IndexOf(versions, left.ETag)));
    }

    private static GrainId NewGrain() => GrainId.Create("reminded", Guid.NewGuid().ToString());

    private static ReminderEntry Reminder(GrainId grain, string name, TimeSpan? period = null) => new()
    {
        GrainId = grain,
        ReminderName = name,
        StartAt = Noon.AddDays(3650).AddMicroseconds(123_456),
        Period = period ?? TimeSpan.FromHours(1),
    };
}
