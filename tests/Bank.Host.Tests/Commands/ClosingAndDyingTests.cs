using System.Diagnostics;
using Bank.Host.Commands;
using Bank.Host.Postgres;
using Bank.Testing;
using Npgsql;
using Xunit;

namespace Bank.Host.Tests.Commands;

public sealed class ClosingAndDyingTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task A_bank_that_is_terminated_killed_stopped_and_reset_comes_back_each_time_until_the_last()
    {
        await using var data = new DataDirectory();
        // What a process that was killed while it made the database has left.
        Directory.CreateDirectory(Path.Combine(data.Path, "postgres.new", "base"));

        // SIGTERM: everything ends in good order.
        await using (var bank = data.Up())
        {
            await bank.OpenAsync();
            await ExecuteAsync(data, "create table public.kept as select 1 as n");
            bank.Terminate();
            Assert.Equal(0, await bank.EndAsync());
            AssertNothingLeft(data, bank);
        }

        // kill -9 of everything: the next one recovers.
        await using (var bank = data.Up())
        {
            await bank.OpenAsync();
            bank.Kill();
            await data.KillPostgresAsync();
            await bank.EndAsync();
            Assert.True(File.Exists(Path.Combine(data.Path, "postgres", "postmaster.pid")));
        }

        // kill -9 of the host alone: the next one finds the database running.
        await using (var bank = data.Up())
        {
            await bank.OpenAsync();
            bank.Kill();
            await bank.EndAsync();
            Assert.NotNull(data.Postgres);
        }

        await using (var bank = data.Up())
        {
            await bank.OpenAsync();

            // kill -9 of the database alone: the host starts it again.
            var died = data.Postgres;
            await data.KillPostgresAsync();
            await Eventually.UntilAsync(
                "another server runs", () => Task.FromResult((data.Postgres is { } now && now != died, (object?)data.Postgres)));
            Assert.Equal((0, "1"), await data.RunAsync("psql", "--owner", "-Atc", "select n from public.kept"));

            var (code, _) = await data.RunAsync("stop");
            Assert.Equal(0, code);
            Assert.Equal(0, await bank.EndAsync());
            AssertNothingLeft(data, bank);
        }

        // Commands that need the database start it for their time.
        Assert.Equal(0, (await data.RunAsync("migrate", "--json")).ExitCode);
        Assert.Null(data.Postgres);

        // What a cluster that was killed has left.
        Directory.CreateDirectory(Path.Combine(data.Path, "cluster"));
        await File.WriteAllTextAsync(Path.Combine(data.Path, "cluster", "silo-1.log"), "", TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(data.Path, "cluster.sock"), "", TestContext.Current.CancellationToken);

        Assert.Equal((int)ExitCode.Failed, (await BankProcess.RunAsync(["reset"], data.Environment, "no\n")).ExitCode);
        Assert.True(LocalPostgres.Exists(data.Path));
        Assert.Equal(0, (await BankProcess.RunAsync(["reset"], data.Environment, "yes\n")).ExitCode);
        Assert.False(Directory.Exists(data.Path));
        Assert.Equal((int)ExitCode.NotRunning, (await data.RunAsync("status")).ExitCode);
    }

    [Fact]
    public async Task A_bank_that_still_starts_is_shown_and_stopped_as_the_process_that_it_is()
    {
        await using var data = new DataDirectory();
        Directory.CreateDirectory(data.Path);
        // Left by a bank that was killed, and its number is another process's by now.
        using var other = Process.Start("sleep", "600");
        try
        {
            new RunningHost(other.Id, "http://127.0.0.1:1", 0, 0).Write(data.Path);
            // The start takes as long as somebody else holds this.
            using var making = FileLock.TryExclusive(Path.Combine(data.Path, "postgres.lock"));
            await using var bank = data.Up();
            await bank.SaysAsync("making and starting");

            Assert.Contains($"process {bank.Id}", (await data.RunAsync("status")).Output, StringComparison.Ordinal);
            Assert.Equal(0, (await BankProcess.RunAsync(["stop"], data.Environment, within: Patience)).ExitCode);
            Assert.Equal(0, await bank.EndAsync());
            Assert.False(other.HasExited);
        }
        finally
        {
            other.Kill();
        }
    }

    [Fact]
    public async Task A_bank_that_no_signal_reaches_is_named_and_not_waited_for()
    {
        await using var data = new DataDirectory();
        Directory.CreateDirectory(data.Path);
        using var taken = FileLock.TryExclusive(Path.Combine(data.Path, "host.lock"));
        new RunningHost(int.MaxValue, "http://127.0.0.1:1", 0, 0).Write(data.Path);
        var (code, output) = await BankProcess.RunAsync(["stop"], data.Environment, within: Patience);
        Assert.Equal((int)ExitCode.Failed, code);
        Assert.Contains($"Process {int.MaxValue} cannot be asked to end", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_member_of_a_cluster_ends_when_it_is_asked_to_or_its_input_ends_and_not_by_what_a_terminal_sends(bool asked)
    {
        const int hangUp = 1, quit = 3;
        const string nobody = "Host=127.0.0.1;Port=1;Username=bank_app;Password=x;Database=bank";
        await using var member = BankProcess.Start(
            ["up", "--role", "gateway", "--drain-delay", "0", "--until-input-ends"],
            new Dictionary<string, string?> { ["ConnectionStrings__Bank"] = nobody });
        await member.SaysAsync("waiting");
        foreach (var signal in (int[])[Signals.Interrupt, hangUp, quit])
            Assert.True(Signals.Send(member.Id, signal));
        await Assert.ThrowsAsync<TimeoutException>(() => member.EndAsync(TimeSpan.FromSeconds(3)));
        if (asked)
            member.Terminate();
        else
            member.EndInput();
        Assert.Equal(0, await member.EndAsync());
    }

    private static void AssertNothingLeft(DataDirectory data, BankProcess bank)
    {
        Assert.Null(data.Postgres);
        Assert.False(File.Exists(Path.Combine(data.Path, "postgres", "postmaster.pid")));
        Assert.False(Directory.Exists($"/proc/{bank.Id}"));
    }

    private static async Task ExecuteAsync(DataDirectory data, string sql)
    {
        var local = await LocalPostgres.AtAsync(data.Path, TestContext.Current.CancellationToken);
        await using var superuser = NpgsqlDataSource.Create(
            new NpgsqlConnectionStringBuilder(local.SuperuserConnectionString) { Database = "bank", Pooling = false });
        await using var command = superuser.CreateCommand(sql + "; grant select on public.kept to bank_owner");
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }
}
