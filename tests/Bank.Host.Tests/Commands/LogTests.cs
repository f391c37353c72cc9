using System.Text.Json;
using Bank.Testing;
using Npgsql;
using Xunit;

namespace Bank.Host.Tests.Commands;

public sealed class LogTests(PrivatePostgres postgres)
{
    [Theory]
    [InlineData("silo", null, true)]
    [InlineData("silo", "simple", false)]
    [InlineData(null, null, false)]
    public async Task A_member_logs_json_with_scopes_unless_told_otherwise_and_nobody_logs_or_measures_a_password(
        string? role, string? formatter, bool isJson)
    {
        var database = await postgres.CreateDatabaseAsync();
        var app = new NpgsqlConnectionStringBuilder(database.App);
        // The tests' own server asks for none.
        app.Password ??= "a-password-that-nobody-asks-for";
        string[] arguments = role is null ? ["up"] : ["up", "--role", role, "--drain-delay", "0"];
        await using var bank = await BankProcess.Start(arguments, new Dictionary<string, string?>
        {
            ["ConnectionStrings__Bank"] = app.ConnectionString,
            ["ConnectionStrings__BankOwner"] = database.Owner,
            ["BANK_ACCEPT_LOSING_MONEY"] = "1",
            ["Orleans__Endpoints__SiloPort"] = $"{Ports.PreferredOrFree(0)}",
            ["Orleans__Endpoints__GatewayPort"] = $"{Ports.PreferredOrFree(0)}",
            ["Logging__LogLevel__Default"] = "Information",
            ["Logging__Console__FormatterName"] = formatter,
        }).OpenAsync();
        using var client = new HttpClient();
        var metrics = await client.GetStringAsync(new Uri(bank.Address, "/metrics"), TestContext.Current.CancellationToken);
        await bank.SaysAsync("/metrics");
        bank.Terminate();
        Assert.Equal(0, await bank.EndAsync());

        Assert.Matches("(?m)^db_client_connection_max{.*db_client_connection_pool_name=\"bank\"", metrics);
        Assert.Matches("(?m)^db_client_connection_count{.*db_client_connection_pool_name=\"bank\"", metrics);
        Assert.DoesNotContain(app.Password, metrics, StringComparison.Ordinal);
        Assert.DoesNotContain(app.Password, bank.Output, StringComparison.Ordinal);
        var lines = bank.Output.Split('\n').Where(line => line.StartsWith('{'))
            .Select(line => JsonSerializer.Deserialize<JsonElement>(line)).ToList();
        if (isJson)
            Assert.Contains(
                lines, line => line.GetProperty("Scopes").EnumerateArray().Any(scope => scope.TryGetProperty("TraceId", out _)));
        else
            Assert.Empty(lines);
    }
}
