using Bank.Domain;
using Bank.Gateway.Problems;
using Xunit;

namespace Bank.Gateway.Tests;

public sealed class ProblemTableTests
{
    [Fact]
    public void Every_refusal_of_the_bank_has_its_row() =>
        Assert.All(Enum.GetValues<Refusal>(), refusal => Assert.InRange(ProblemCode.Of(refusal.Code()).Status, 400, 422));

    [Fact]
    public void Only_what_may_be_retried_as_it_is_says_that_the_server_failed() => Assert.Equal(
        ["journal_unavailable", "outcome_unknown", "overloaded", "read_model_behind"],
        ProblemCode.Table.Where(problem => problem.Status >= 500).Select(problem => problem.Code));
}
