using Bank.Testing;
using Npgsql;
using Xunit;

namespace Bank.Host.Tests.TestSupport;

public sealed class TcpProxyTests(PrivatePostgres postgres)
{
    [Theory]
    [InlineData(Fault.CutBefore, 0)]
    [InlineData(Fault.CutAfter, 1)]
    [InlineData(Fault.CutInReply, 1)]
    [InlineData(Fault.Silent, 1)]
    [InlineData(Fault.SilentBefore, 0)]
    public async Task A_fault_loses_the_reply_and_the_server_has_done_what_the_fault_says(Fault fault, int rows)
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var direct = NpgsqlDataSource.Create(database.Owner);
        await using (var create = direct.CreateCommand("CREATE TABLE public.seen (n int)"))
            await create.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);

        await using var proxy = new TcpProxy(database.Owner);
        await using var through = NpgsqlDataSource.Create(proxy.Through(database.Owner) + ";Command Timeout=1;Cancellation Timeout=-1");
        await using var connection = await through.OpenConnectionAsync(TestContext.Current.CancellationToken);
        proxy.OnRequest = _ => fault;
        await using var insert = new NpgsqlCommand("INSERT INTO public.seen VALUES (1)", connection);
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => insert.ExecuteNonQueryAsync(TestContext.Current.CancellationToken));

        await using var count = direct.CreateCommand("SELECT count(*)::int FROM public.seen");
        await Eventually.UntilAsync(
            $"{rows} rows are there", async () => (int)(await count.ExecuteScalarAsync())!, seen => seen == rows);
        // Npgsql sends a cancel when its own time-out fires, and the proxy sees it.
        Assert.Equal(fault is Fault.Silent or Fault.SilentBefore ? 1 : 0, proxy.CancelRequests);
    }

    [Fact]
    public async Task What_came_while_frozen_passes_afterwards()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var proxy = new TcpProxy(database.App);
        await using var through = NpgsqlDataSource.Create(proxy.Through(database.App));
        await using var connection = await through.OpenConnectionAsync(TestContext.Current.CancellationToken);
        proxy.Frozen = true;
        await using var query = new NpgsqlCommand("SELECT 7", connection);
        var answer = query.ExecuteScalarAsync(TestContext.Current.CancellationToken);
        Assert.False(answer.IsCompleted);
        proxy.Frozen = false;
        Assert.Equal(7, await answer);
        Assert.True(proxy.Bytes is { ToServer: > 0, ToClient: > 0 });
    }
}
