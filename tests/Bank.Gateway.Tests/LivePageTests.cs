using System.Text.Json.Nodes;
using Bank.Testing;
using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>The page <c>/live</c> in a browser.</summary>
[Collection(OneBank.Name)]
public sealed class LivePageTests(OneBank.Fixture shared)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);
    // Three times what is promised: other tests may be at work.
    private const int Milliseconds = 3_000;

    private RestClient Rest => shared.Bank.Rest;

    [Fact]
    public async Task A_balance_moves_on_the_page_while_money_does()
    {
        var id = await Rest.OpenAsync("5");
        await using var browser = await Chromium.OpenAsync(new(shared.Bank.Address, $"/live?account={id}"));
        await SeenAsync(browser, "it is live and shows the balance", "5.00 USD John Doe's account, live");

        await Rest.DepositAsync(id, "2.50");
        await SeenAsync(browser, "the page shows the deposit", "7.50 USD John Doe's account, live");
        await WithinAsync(browser);
        await Rest.WithdrawAsync(id, "7.25");
        await SeenAsync(browser, "the page shows the withdrawal", "0.25 USD John Doe's account, live");
        await WithinAsync(browser);
        Assert.Equal(
            "MoneyWithdrawn 7.25, MoneyDeposited 2.50",
            (string?)await browser.EvaluateAsync(
                "[...document.querySelectorAll('#events tr')].map(r => r.cells[1].innerText + ' ' + r.cells[2].innerText).join(', ')"));
    }

    [Fact]
    public async Task The_page_says_so_where_there_is_no_such_account()
    {
        await using var browser = await Chromium.OpenAsync(new(shared.Bank.Address, $"/live?account={Guid.NewGuid()}"));
        await Eventually.UntilAsync(
            "the page says that there is no account",
            () => browser.EvaluateAsync("document.getElementById('state')?.innerText"),
            said => ((string?)said)?.Contains("account", StringComparison.OrdinalIgnoreCase) == true
                && ((string?)said)?.StartsWith("Enter", StringComparison.Ordinal) == false,
            Patience);
    }

    private static Task<JsonNode?> SeenAsync(Chromium browser, string what, string expected) => Eventually.UntilAsync(
        what,
        () => browser.EvaluateAsync(
            "document.getElementById('balance')?.innerText + ' ' + document.getElementById('state')?.innerText"),
        seen => (string?)seen == expected,
        Patience);

    // From the time of the event to the moment at which the page has shown it, by the page's own clock.
    private static async Task WithinAsync(Chromium browser) =>
        Assert.InRange(int.Parse((string)(await browser.EvaluateAsync("document.body.dataset.lag"))!), 0, Milliseconds);
}
