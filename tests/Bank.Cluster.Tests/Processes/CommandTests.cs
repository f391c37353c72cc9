using System.Text.Json;
using Bank.Host.Cluster;
using Bank.Testing;
using Xunit;

namespace Bank.Cluster.Tests.Processes;

/// <summary>What <c>./bank cluster</c> does and says, beside surviving.</summary>
[Collection(nameof(ClusterCollection))]
public sealed class CommandTests(LocalCluster cluster)
{
    [Fact]
    public async Task Status_tells_of_every_member_what_it_is_and_where()
    {
        await cluster.WholeAsync();
        using var document = JsonDocument.Parse(await cluster.CommandAsync("status", "--json"));
        var members = document.RootElement.GetProperty("members").EnumerateArray().ToList();
        Assert.Equal(
            ["silo 1", "silo 2", "silo 3", "gateway 1", "gateway 2"],
            members.Select(member => $"{member.GetProperty("role")} {member.GetProperty("index")}"));
        Assert.All(members, member => Assert.Equal("ready", member.GetProperty("state").GetString()));
        Assert.All(members, member => Assert.True(member.GetProperty("pid").GetInt32() > 0));
        Assert.Equal(
            cluster.Gateways.Select(gateway => gateway.GetLeftPart(UriPartial.Authority)),
            members[3..].Select(member => member.GetProperty("address").GetString()));
    }

    [Fact]
    public async Task A_member_that_dies_stays_dead_and_is_shown_so_until_it_is_started()
    {
        await cluster.WholeAsync();
        Assert.Contains("gateway 2 is dead, ended with 137", await cluster.CommandAsync("kill", "gateway", "2"), StringComparison.Ordinal);
        Assert.Contains("gateway 2 is dead", await cluster.CommandAsync("status"), StringComparison.Ordinal);
        Assert.Contains("gateway 2 is starting", await cluster.CommandAsync("start", "gateway", "2"), StringComparison.Ordinal);
        await Eventually.UntilAsync(
            "gateway 2 is ready", cluster.MembersAsync, members => members.All(member => member.State == "ready"), LocalCluster.Patience);
    }

    [Fact]
    public async Task The_status_of_the_bank_is_that_of_a_gateway_that_serves()
    {
        await cluster.WholeAsync();
        await cluster.ActAsync("kill", "gateway", 1);
        var environment = new Dictionary<string, string?> { ["BANK_DATA_DIR"] = cluster.Directory };
        var (exitCode, said) = await BankProcess.RunAsync(["status"], environment);
        Assert.Equal(0, exitCode);
        Assert.Contains($"the bank on {cluster.Gateways[1].GetLeftPart(UriPartial.Authority)} is ready", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_member_comes_back_though_whoever_asked_for_the_restart_has_gone_meanwhile()
    {
        await cluster.WholeAsync();
        var before = await cluster.MembersAsync();
        using var gone = new CancellationTokenSource();
        var restart = ClusterControl.AskAsync<JsonElement>(cluster.Directory, HttpMethod.Post, "/restart", gone.Token);
        await Eventually.UntilAsync(
            "silo 1 is stopping", cluster.MembersAsync, members => members[0].State == "stopping", LocalCluster.Patience);
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => restart);
        var after = await Eventually.UntilAsync(
            "silo 1 is another process, and every member is ready",
            cluster.MembersAsync,
            members => members[0].Pid != before[0].Pid && members.All(member => member.State == "ready"),
            LocalCluster.Patience);
        Assert.Equal(before.Skip(1).Select(member => member.Pid), after.Skip(1).Select(member => member.Pid));
    }

    [Fact]
    public async Task No_member_knows_the_owner_s_password()
    {
        await cluster.WholeAsync();
        foreach (var member in await cluster.MembersAsync())
            Assert.DoesNotContain(
                "bank_owner",
                await File.ReadAllTextAsync($"/proc/{member.Pid}/environ", TestContext.Current.CancellationToken),
                StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_done_is_refused_with_a_reason()
    {
        var environment = new Dictionary<string, string?> { ["BANK_DATA_DIR"] = cluster.Directory };
        var (exitCode, said) = await BankProcess.RunAsync(["cluster", "kill", "silo", "9"], environment);
        Assert.NotEqual(0, exitCode);
        Assert.Contains("There is no silo 9", said, StringComparison.Ordinal);
        (exitCode, said) = await BankProcess.RunAsync(["cluster", "start", "silo", "1"], environment);
        Assert.NotEqual(0, exitCode);
        Assert.Contains("silo 1 runs already", said, StringComparison.Ordinal);
    }
}
