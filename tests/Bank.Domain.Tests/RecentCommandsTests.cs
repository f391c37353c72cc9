using Bank.Domain;
using CsCheck;

namespace Bank.Domain.Tests;

public class RecentCommandsTests
{
    private static Guid Id(int n) => new(n, 0, 0, new byte[8]);

    private static RecentCommands After(RecentCommands window, IEnumerable<int> commands) =>
        commands.Aggregate(window, (w, n) => w.Add(Id(n)));

    [Fact]
    public void A_window_holds_the_last_commands_and_knows_when_it_lost_one()
    {
        var four = After(RecentCommands.Empty(4), Enumerable.Range(1, 4));
        Assert.True(four.IsComplete);
        Assert.True(four.Contains(Id(1)));

        var five = four.Add(Id(5));
        Assert.False(five.IsComplete);
        Assert.False(five.Contains(Id(1)));
        Assert.Equal([Id(2), Id(3), Id(4), Id(5)], five.Ids.ToArray());
        Assert.Equal([Id(1), Id(2), Id(3), Id(4)], four.Ids.ToArray());
    }

    [Fact]
    public void Events_of_one_command_count_once()
    {
        var window = After(RecentCommands.Empty(4), [1, 1, 1, 2]);
        Assert.Equal([Id(1), Id(2)], window.Ids.ToArray());
    }

    // A tree of windows, each grown from a random earlier one: none may ever see what was added to another.
    [Fact]
    public void Windows_that_part_ways_share_nothing_that_either_sees() =>
        Gen.Select(Gen.Int[1, 9], Gen.Int[0, int.MaxValue].Array[1, 300]).Sample((capacity, choices) =>
        {
            var windows = new List<(RecentCommands Window, int[] Commands)> { (RecentCommands.Empty(capacity), []) };
            for (var n = 0; n < choices.Length; n++)
            {
                // Mostly the newest grows further; at times an old one does, which forks.
                var (window, commands) = choices[n] % 4 == 0 ? windows[choices[n] % windows.Count] : windows[^1];
                windows.Add((window.Add(Id(n)), [.. commands, n]));
            }
            return windows.All(w =>
                w.Window.Ids.SequenceEqual(w.Commands.TakeLast(capacity).Select(Id).ToArray())
                && w.Window.IsComplete == w.Commands.Length <= capacity);
        });

    [Fact]
    public void Two_threads_may_grow_one_window()
    {
        for (var round = 0; round < 200; round++)
        {
            var start = After(RecentCommands.Empty(100), [1, 2]);
            var grown = new RecentCommands[2];
            Parallel.For(0, 2, side => grown[side] = After(start, Enumerable.Range(100 * (side + 1), 20)));
            for (var side = 0; side < 2; side++)
                Assert.Equal([Id(1), Id(2), .. Enumerable.Range(100 * (side + 1), 20).Select(Id)], grown[side].Ids.ToArray());
        }
    }

    [Fact]
    public void A_stored_window_comes_back_and_may_be_cut_to_a_smaller_capacity()
    {
        var window = After(RecentCommands.Empty(8), Enumerable.Range(1, 6));
        Assert.Equal(window, RecentCommands.Restore(8, window.IsComplete, window.Ids));

        var cut = RecentCommands.Restore(4, window.IsComplete, window.Ids);
        Assert.Equal([Id(3), Id(4), Id(5), Id(6)], cut.Ids.ToArray());
        Assert.False(cut.IsComplete);
        Assert.Equal([Id(4), Id(5), Id(6), Id(7)], cut.Add(Id(7)).Ids.ToArray());
    }
}
