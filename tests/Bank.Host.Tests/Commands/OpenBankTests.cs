using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Bank.Testing;
using Xunit;

namespace Bank.Host.Tests.Commands;

public sealed class OpenBankTests(OpenBank open) : IClassFixture<OpenBank>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task It_says_at_once_what_it_does_and_at_the_end_where_it_is_and_a_line_to_paste()
    {
        var lines = open.Bank.Output.Split('\n');
        Assert.Contains(open.Path, lines[0], StringComparison.Ordinal);
        Assert.Contains(lines, line => line.StartsWith($"curl -X POST {open.Bank.Address}api/v1/accounts", StringComparison.Ordinal));

        using var client = new HttpClient();
        using var live = await client.GetAsync(new Uri(open.Bank.Address, "/health/live"), Cancellation);
        Assert.Equal(HttpStatusCode.OK, live.StatusCode);
    }

    [Fact]
    public async Task A_second_up_on_the_same_data_directory_is_refused_and_told_which_process_has_it()
    {
        var (code, output) = await open.RunAsync("up");
        Assert.Equal((int)ExitCode.AlreadyRunning, code);
        Assert.Contains($"process {open.Bank.Id}", output, StringComparison.Ordinal);
        AssertPlain(output);
    }

    [Fact]
    public async Task A_port_in_use_is_refused_before_anything_is_made()
    {
        await using var other = new DataDirectory();
        var address = open.Bank.Address.GetLeftPart(UriPartial.Authority);
        var (code, output) = await BankProcess.RunAsync(
            ["up"], new Dictionary<string, string?>(other.Environment) { ["ASPNETCORE_URLS"] = address });
        Assert.Equal((int)ExitCode.PortInUse, code);
        Assert.Contains(address, output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(other.Path, "postgres")));
        AssertPlain(output);
    }

    [Fact]
    public async Task Status_names_process_address_and_database()
    {
        var (code, output) = await open.RunAsync("status", "--json");
        Assert.Equal(0, code);
        using var status = JsonDocument.Parse(output);
        Assert.True(status.RootElement.GetProperty("running").GetBoolean());
        Assert.Equal(open.Bank.Id, status.RootElement.GetProperty("process_id").GetInt32());
        Assert.Equal(open.Postgres, status.RootElement.GetProperty("postgres_process_id").GetInt32());
        Assert.Equal(open.Bank.Address, new Uri(status.RootElement.GetProperty("address").GetString()!));
    }

    [Fact]
    public async Task Status_tells_of_transfers_that_are_overdue()
    {
        using var client = new HttpClient();
        using var opened = await client.PostAsync(
            new Uri(open.Bank.Address, "/api/v1/accounts"), JsonContent.Create(new { owner_name = "Ada" }), Cancellation);
        opened.EnsureSuccessStatusCode();
        await Eventually.UntilAsync(
            "the watchdog has followed the journal to its first event",
            () => open.RunAsync("psql", "-Atc", "select position from work.checkpoints"),
            checkpoint => checkpoint is (0, not "0"),
            TimeSpan.FromSeconds(60));

        // No such transfer is recorded, so nobody can take it further.
        Assert.Equal(0, (await open.RunAsync(
            "psql",
            "--owner",
            "-c",
            "insert into work.open_transfers values (gen_random_uuid(), 'sending', 1, now() - interval '1 hour')")).ExitCode);
        try
        {
            var (code, output) = await open.RunAsync("status");
            Assert.Equal(0, code);
            Assert.Contains(" is degraded ", output, StringComparison.Ordinal);
            Assert.Contains("transfers degraded: 1 of 1 open transfers", output, StringComparison.Ordinal);
        }
        finally
        {
            await open.RunAsync("psql", "--owner", "-c", "delete from work.open_transfers");
        }
    }

    [Fact]
    public async Task Psql_asks_the_bank_s_database_as_bank_app_or_as_its_owner_and_leaves_the_server_running()
    {
        var server = open.Postgres;
        var asApp = await open.RunAsync("psql", "-Atc", "select current_user || ' ' || max(script) from journal.migrations");
        var asOwner = await open.RunAsync("psql", "--owner", "-Atc", "select current_user");
        var failing = await open.RunAsync("psql", "-c", "select 1/0");
        Assert.StartsWith("bank_app ", asApp.Output, StringComparison.Ordinal);
        Assert.Equal((0, "bank_owner"), asOwner);
        Assert.Equal(1, failing.ExitCode);
        Assert.Equal(server, open.Postgres);
    }

    [Fact]
    public async Task Read_models_are_listed_and_rebuilt_and_whoever_waits_is_told_how_far_it_is()
    {
        var (code, output) = await open.RunAsync("projections", "rebuild", "transactions", "accounts", "--reason", "to see it");
        Assert.True(code == 0, output);
        Assert.Contains("transactions: 100", output, StringComparison.Ordinal);
        Assert.Contains("accounts: 100", output, StringComparison.Ordinal);
        AssertPlain(output);

        var listed = await open.RunAsync("projections", "--json");
        Assert.Equal(0, listed.ExitCode);
        using var list = JsonDocument.Parse(listed.Output);
        var generations = list.RootElement.GetProperty("items").EnumerateArray()
            .ToDictionary(p => p.GetProperty("name").GetString()!, p => p.GetProperty("generation").GetInt32());
        Assert.Equal((2, 2, 1, 1), (
            generations["accounts"], generations["transactions"], generations["transfers"], generations["daily_totals"]));
        Assert.Contains("transactions ", (await open.RunAsync("projections")).Output, StringComparison.Ordinal);

        var unknown = await open.RunAsync("projections", "rebuild", "nothing");
        Assert.Equal((int)ExitCode.Failed, unknown.ExitCode);
        Assert.Contains("daily_totals", unknown.Output, StringComparison.Ordinal);
        AssertPlain(unknown.Output);
    }

    [Fact]
    public async Task Reset_is_refused_while_the_bank_is_open()
    {
        var (code, output) = await open.RunAsync("reset", "--yes");
        Assert.Equal((int)ExitCode.AlreadyRunning, code);
        Assert.NotNull(open.Postgres);
        AssertPlain(output);
    }

    [Fact]
    public async Task Doctor_finds_everything_in_order()
    {
        var (code, output) = await open.RunAsync("doctor", "--json");
        using var report = JsonDocument.Parse(output);
        Assert.True(report.RootElement.GetProperty("ok").GetBoolean(), output);
        Assert.Equal(0, code);
    }

    [Fact]
    public async Task The_dashboard_is_there_for_operators_and_what_would_activate_grains_is_not_however_it_is_written()
    {
        using var client = new HttpClient();
        foreach (var path in (string[])["/dashboard", "/dashboard/version", "/dashboard/v%65rsion", "/Dashboard/VERSION/"])
            Assert.Equal((path, HttpStatusCode.OK), (path, await StatusAsync(path)));
        foreach (var path in (string[])[
            "/dashboard/GrainState", "/dashboard/GrainState/", "/Dashboard/grainSTATE", "/dashboard/GrainSt%61te",
            "/dashboard//GrainState", "/dashboard/./GrainState", "/dashboard/version/../GrainState"])
            Assert.Equal(
                (path, HttpStatusCode.NotFound), (path, await StatusAsync($"{path}?grainId=x&grainType=Bank.Grains.JournalProbeGrain")));

        async Task<HttpStatusCode> StatusAsync(string path)
        {
            var asWritten = new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true };
            using var answer = await client.GetAsync(
                new Uri($"{open.Bank.Address.GetLeftPart(UriPartial.Authority)}{path}", asWritten), Cancellation);
            return answer.StatusCode;
        }
    }

    [Fact]
    public void The_database_server_is_out_of_reach_of_the_terminal_s_Ctrl_C() =>
        Assert.NotEqual(SessionOf(open.Bank.Id), SessionOf(open.Postgres!.Value));

    [Fact]
    public void Nobody_but_its_user_can_read_the_passwords() =>
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(open.Path, "postgres.json")));

    internal static void AssertPlain(string output)
    {
        Assert.DoesNotContain("   at ", output, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", output, StringComparison.Ordinal);
    }

    // "pid (name) state ppid pgrp session"
    private static string SessionOf(int process)
    {
        var stat = File.ReadAllText($"/proc/{process}/stat");
        return stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[3];
    }
}
