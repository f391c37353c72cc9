using System.Diagnostics;
using System.Text.Json.Nodes;
using Xunit;

namespace Bank.Host.Tests.Commands;

/// <summary>The article's own session, its lines as printed there, with curl.</summary>
public sealed class ArticleTests(OpenBank open) : IClassFixture<OpenBank>
{
    private const string Open =
        """
        curl -X POST http://localhost:8080/api/v1/accounts \
        -H "Content-Type: application/json" \
        -d '{"owner_name": "John Doe", "initial_deposit": "1000.00"}'
        """;

    private const string Deposit =
        """
        curl -X POST http://localhost:8080/api/v1/accounts/{id}/deposit \
        -d '{"amount": "500.00", "description": "Salary"}'
        """;

    private const string Check = "curl http://localhost:8080/api/v1/accounts/{id}";

    private const string Events = "curl http://localhost:8080/api/v1/accounts/{id}/events";

    [Fact]
    public async Task The_article_s_lines_work_as_printed_and_so_do_closing_an_overdraft_and_an_unknown_account()
    {
        var id = (string)(await PasteAsync(Open))["account_id"]!;
        Assert.Equal("1500.00", (string?)(await PasteAsync(Deposit, id))["balance"]);
        var account = await PasteAsync(Check, id);
        Assert.Equal(("John Doe", "1500.00"), ((string?)account["owner_name"], (string?)account["balance"]));
        var events = (await PasteAsync(Events, id))["items"]!.AsArray();
        Assert.Equal(["AccountOpened", "MoneyDeposited"], events.Select(e => (string?)e!["event_type"]));

        const string withdraw = "curl -X POST http://localhost:8080/api/v1/accounts/{id}/withdraw -d '{\"amount\": \"1500.01\"}'";
        Assert.Equal("insufficient_funds", (string?)(await PasteAsync(withdraw, id))["code"]);
        const string close = "curl -X POST http://localhost:8080/api/v1/accounts/{id}/close";
        Assert.Equal("account_not_empty", (string?)(await PasteAsync(close, id))["code"]);
        await PasteAsync(withdraw.Replace("1500.01", "1500.00", StringComparison.Ordinal), id);
        Assert.Equal("closed", (string?)(await PasteAsync(close, id))["status"]);
        Assert.Equal("account_not_found", (string?)(await PasteAsync(Check, Guid.NewGuid().ToString()))["code"]);
    }

    [Fact]
    public void The_readme_shows_the_same_lines()
    {
        var readme = File.ReadAllText(Path.Combine(Root(), "README.md"));
        Assert.All([Open, Deposit, Check, Events], line => Assert.Contains(line, readme, StringComparison.Ordinal));
    }

    private async Task<JsonNode> PasteAsync(string line, string? id = null)
    {
        var address = open.Bank.Address.GetLeftPart(UriPartial.Authority);
        var here = line.Replace("http://localhost:8080", address, StringComparison.Ordinal).Replace("{id}", id, StringComparison.Ordinal);
        using var shell = Process.Start(
            new ProcessStartInfo("/bin/sh", ["-c", here]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var output = shell.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var complaints = shell.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await shell.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(shell.ExitCode == 0, $"{here}\n{await complaints}");
        return JsonNode.Parse(await output)!;
    }

    private static string Root()
    {
        for (var at = new DirectoryInfo(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "Bank.Orleans.sln")))
                return at.FullName;
        }

        throw new DirectoryNotFoundException($"No Bank.Orleans.sln above {AppContext.BaseDirectory}");
    }
}
