using Npgsql;
using Xunit;

namespace Bank.Cluster.Tests;

public sealed class GrantsTests(OrleansDatabase database) : IClassFixture<OrleansDatabase>
{
    [Fact]
    public async Task The_application_may_change_rows_and_only_read_what_its_connections_execute()
    {
        await using var app = NpgsqlDataSource.Create(database.ConnectionString);
        await using var command = app.CreateCommand(
            """
            SELECT table_name || ': ' || string_agg(privilege_type, ' ' ORDER BY privilege_type)
            FROM information_schema.table_privileges
            WHERE grantee IN ('bank_app', 'PUBLIC') AND table_schema = 'orleans'
            GROUP BY table_name ORDER BY table_name
            """);
        var granted = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
        while (await reader.ReadAsync(TestContext.Current.CancellationToken))
        {
            granted.Add(reader.GetString(0));
        }

        Assert.Equal(
            [
                "clusters: DELETE INSERT SELECT UPDATE",
                "grain_states: DELETE INSERT SELECT UPDATE",
                "members: DELETE INSERT SELECT UPDATE",
                "orleansquery: SELECT",
                "reminders: DELETE INSERT SELECT UPDATE",
            ],
            granted);
    }
}
