using System.Globalization;
using System.Text.RegularExpressions;
using Bank.Benchmarks.Scaling;
using Xunit;

namespace Bank.Deploy.Tests;

public class ScaleTests
{
    // Half a millisecond and 15 microseconds an event under the lock, a millisecond and 10 microseconds an event outside.
    private static readonly JournalCosts Costs = new(0.5e-3, 15e-6, 1e-3, 10e-6);

    private static readonly string Page = Repository.Read("docs/scale.md");

    [Fact]
    public void One_caller_waits_for_one_call_after_the_other()
    {
        var (rate, batch) = JournalModel.Run(Costs, silos: 1, callers: 1, batchEvents: 1_000);
        Assert.Equal(1, batch);
        Assert.Equal(1 / (0.5e-3 + 15e-6 + 1e-3 + 10e-6), rate, tolerance: 1);
    }

    [Fact]
    public void Many_silos_reach_the_lock_s_limit_and_never_pass_it()
    {
        foreach (var batch in (int[])[10, 100, 1_000])
        {
            var (rate, perBatch) = JournalModel.Run(Costs, silos: 8, callers: 8 * 4 * batch, batch);
            Assert.InRange(rate, 0.98 * Costs.Limit(batch), 1.0001 * Costs.Limit(batch));
            Assert.InRange(perBatch, 0.98 * batch, batch);
        }
    }

    [Fact]
    public void A_second_silo_fills_the_time_in_which_the_first_one_s_call_is_under_way()
    {
        var far = Costs.WithRoundTripLater(20e-3);
        var one = JournalModel.Run(far, 1, 100, 1_000, gatherAtMost: 0).PerSecond;
        var two = JournalModel.Run(far, 2, 200, 1_000, gatherAtMost: 0).PerSecond;
        Assert.InRange(two / one, 1.9, 2.01);
    }

    [Fact]
    public void Silos_that_gather_make_more_of_a_lock_that_they_share_and_one_alone_does_not_gather()
    {
        var costs = Costs.WithCommitLater(1e-3);
        Assert.InRange(Gathered(silos: 3), 1.3, 2);
        Assert.Equal(1, Gathered(silos: 1));

        double Gathered(int silos) =>
            JournalModel.Run(costs, silos, 60, 1_000).PerSecond / JournalModel.Run(costs, silos, 60, 1_000, gatherAtMost: 0).PerSecond;
    }

    [Fact]
    public void A_commit_that_takes_eleven_times_longer_costs_far_less_because_a_batch_pays_it_once()
    {
        var quick = JournalModel.Run(Costs, 3, 600, 1_000).PerSecond;
        var slow = JournalModel.Run(Costs.WithCommitLater(5e-3), 3, 600, 1_000).PerSecond;
        Assert.InRange(quick / slow, 2, 3);
    }

    [Fact]
    public void The_page_s_table_is_what_the_model_says()
    {
        var rows = Regex.Matches(Page, @"^\| ([\d.]+) ms \| ([\d,]+) \|(.+)\|$", RegexOptions.Multiline);
        Assert.Equal(9, rows.Count);
        Assert.All(rows, row => Assert.Equal(
            Cells(Number(row.Groups[1].Value), (int)Number(row.Groups[2].Value)),
            row.Groups[3].Value.Split('|', StringSplitOptions.TrimEntries)));
    }

    // The costs that the page names: of the flush alone, and of everything else.
    private static IEnumerable<string> Cells(double flush, int callers)
    {
        var costs = new JournalCosts(
            Number(Named("under the lock, the call")) / 1e3, Number(Named("under the lock, each event")) / 1e6,
            Number(Named("outside, the call")) / 1e3, Number(Named("outside, each event")) / 1e6).WithCommitLater(flush / 1e3);
        return ((int[])[1, 2, 3, 5, 8])
            .Select(silos => Shown(JournalModel.Run(costs, silos, callers, 1_000).PerSecond))
            .Append(Shown(costs.Limit(1_000)));
    }

    private static string Named(string cost) => Regex.Match(Page, $@"^\| {cost} \| ([\d.]+) ", RegexOptions.Multiline).Groups[1].Value;

    private static string Shown(double rate) => (rate / 1e3).ToString("0.0", CultureInfo.InvariantCulture) + "k";

    private static double Number(string text) => double.Parse(text, NumberStyles.Number, CultureInfo.InvariantCulture);
}
