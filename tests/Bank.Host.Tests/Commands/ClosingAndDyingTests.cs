using Bank.Host.Postgres;
using Bank.Testing;
using Npgsql;
using Xunit;

namespace Bank.Host.Tests.Commands;

public sealed class ClosingAndDyingTests
{
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

        Assert.Equal((int)ExitCode.Failed, (await BankProcess.RunAsync(["reset"], data.Environment, "no\n")).ExitCode);
        Assert.True(LocalPostgres.Exists(data.Path));
        Assert.Equal(0, (await BankProcess.RunAsync(["reset"], data.Environment, "yes\n")).ExitCode);
        Assert.False(Directory.Exists(data.Path));
        Assert.Equal((int)ExitCode.NotRunning, (await data.RunAsync("status")).ExitCode);
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
