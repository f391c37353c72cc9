using System.Net;
using Bank.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Npgsql;
using Orleans;
using Orleans.Configuration;
using Orleans.Runtime;
using Orleans.Runtime.Membership;
using Orleans.Runtime.MembershipService;
using Xunit;

namespace Bank.Cluster.Tests.Membership;

/// <summary>What Orleans' membership protocol asks of the table, through its own provider; each test is a cluster of its own.</summary>
public sealed class MembershipTableTests(OrleansDatabase database) : IClassFixture<OrleansDatabase>
{
    private static readonly DateTime Noon = new(2026, 3, 15, 12, 0, 0, DateTimeKind.Utc);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Of_silos_that_create_a_cluster_at_once_all_find_it_at_version_0()
    {
        var clusterId = NewCluster();
        var tables = Enumerable.Range(0, 16).Select(_ => (IMembershipTable)Table(clusterId)).ToList();

        await Task.WhenAll(tables.Select(t => t.InitializeMembershipTableAsync(tryInitTableVersion: true, Cancelled)));

        foreach (var table in tables)
        {
            var read = await table.ReadAllAsync(Cancelled);
            Assert.Equal(0, read.Version.Version);
            Assert.Empty(read.Members);
        }
    }

    [Fact]
    public async Task A_member_reads_back_as_it_was_written()
    {
        var table = await StartedTable();
        var voter = Address(9);
        var written = Member(1, SiloStatus.Joining);
        await Insert(table, written);
        await Insert(table, Member(2));
        written.Status = SiloStatus.Active;
        written.AddSuspector(voter, Noon.AddMilliseconds(7));
        Assert.True(await Update(table, written));

        foreach (var read in new[] { await table.ReadAllAsync(Cancelled), await table.ReadRowAsync(written.SiloAddress, Cancelled) })
        {
            var member = read.TryGet(written.SiloAddress)!.Item1;
            Assert.Equal(3, read.Version.Version);
            Assert.Equal(written.SiloAddress, member.SiloAddress);
            Assert.Equal(written.SiloName, member.SiloName);
            Assert.Equal(written.HostName, member.HostName);
            Assert.Equal(SiloStatus.Active, member.Status);
            Assert.Equal(written.ProxyPort, member.ProxyPort);
            Assert.Equal(written.StartTime, member.StartTime);
            Assert.Equal(written.IAmAliveTime, member.IAmAliveTime);
            Assert.Equal([Tuple.Create(voter, Noon.AddMilliseconds(7))], member.SuspectTimes);
        }
        Assert.Empty((await table.ReadRowAsync(Address(3), Cancelled)).Members);
    }

    [Fact]
    public async Task A_member_comes_in_once()
    {
        var table = await StartedTable();
        await Insert(table, Member(1, SiloStatus.Dead));

        Assert.False(await table.InsertRowAsync(Member(1), (await table.ReadAllAsync(Cancelled)).Version.Next(), Cancelled));

        var read = await table.ReadAllAsync(Cancelled);
        Assert.Equal(1, read.Version.Version);
        Assert.Equal(SiloStatus.Dead, Assert.Single(read.Members).Item1.Status);
    }

    [Fact]
    public async Task Of_many_joins_decided_on_one_version_one_lands()
    {
        var clusterId = NewCluster();
        var table = await StartedTable(clusterId);
        var version = (await table.ReadAllAsync(Cancelled)).Version.Next();

        var landed = await RaceAsync(clusterId, Enumerable.Range(1, 24).Select(
            n => (Func<Task<bool>>)(() => table.InsertRowAsync(Member(n), version, Cancelled))));

        var read = await table.ReadAllAsync(Cancelled);
        Assert.Single(landed, true);
        Assert.Single(read.Members);
        Assert.Equal(1, read.Version.Version);
    }

    [Fact]
    public async Task Of_many_changes_decided_on_one_version_one_lands()
    {
        var clusterId = NewCluster();
        var table = await StartedTable(clusterId);
        var members = Enumerable.Range(1, 24).Select(n => Member(n)).ToList();
        foreach (var member in members)
        {
            await Insert(table, member);
        }
        var version = (await table.ReadAllAsync(Cancelled)).Version.Next();
        members.ForEach(m => m.Status = SiloStatus.Dead);

        var landed = await RaceAsync(clusterId, members.Select(
            m => (Func<Task<bool>>)(() => table.UpdateRowAsync(m, version.VersionEtag, version, Cancelled))));

        var read = await table.ReadAllAsync(Cancelled);
        Assert.Single(landed, true);
        Assert.Single(read.Members, m => m.Item1.Status == SiloStatus.Dead);
        Assert.Equal(25, read.Version.Version);
    }

    [Fact]
    public async Task A_change_of_an_unknown_member_changes_nothing()
    {
        var table = await StartedTable();
        await Insert(table, Member(1));

        Assert.False(await Update(table, Member(2)));

        Assert.Equal(1, (await table.ReadAllAsync(Cancelled)).Version.Version);
    }

    [Fact]
    public async Task A_reader_never_sees_members_of_another_version()
    {
        var table = await StartedTable();
        using var done = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        var readers = Enumerable.Range(0, 4).Select(async _ =>
        {
            while (!done.IsCancellationRequested)
            {
                var read = await table.ReadAllAsync(Cancelled);
                Assert.Equal(read.Version.Version, read.Members.Count);
            }
        }).ToList();

        for (var n = 1; n <= 100; n++)
        {
            await Insert(table, Member(n));
        }

        await done.CancelAsync();
        await Task.WhenAll(readers);
    }

    [Fact]
    public async Task A_sign_of_life_leaves_the_version_alone_and_brings_nobody_in()
    {
        var table = await StartedTable();
        var member = Member(1);
        await Insert(table, member);
        member.IAmAliveTime = Noon.AddMinutes(1);

        await table.UpdateIAmAliveAsync(member, Cancelled);
        await table.UpdateIAmAliveAsync(Member(2), Cancelled);

        var read = await table.ReadAllAsync(Cancelled);
        Assert.Equal(1, read.Version.Version);
        Assert.Equal(Noon.AddMinutes(1), Assert.Single(read.Members).Item1.IAmAliveTime);
    }

    [Fact]
    public async Task A_vote_does_not_take_back_a_later_sign_of_life()
    {
        var table = await StartedTable();
        await Insert(table, Member(1));
        var asTheVoterReadIt = (await table.ReadRowAsync(Address(1), Cancelled)).Members.Single().Item1;
        var alive = Member(1);
        alive.IAmAliveTime = Noon.AddMinutes(1);
        await table.UpdateIAmAliveAsync(alive, Cancelled);

        asTheVoterReadIt.AddSuspector(Address(2), Noon);
        Assert.True(await Update(table, asTheVoterReadIt));

        var member = (await table.ReadRowAsync(Address(1), Cancelled)).Members.Single().Item1;
        Assert.Equal(Noon.AddMinutes(1), member.IAmAliveTime);
        Assert.Single(member.SuspectTimes!);
    }

    [Fact]
    public async Task Cleaning_up_removes_only_what_has_long_been_dead()
    {
        var clusterId = NewCluster();
        var table = await StartedTable(clusterId);
        var (old, recent) = (Noon.AddDays(-8), Noon.AddDays(-1));
        await Insert(table, Member(1, SiloStatus.Dead, old));
        await Insert(table, Member(2, SiloStatus.Dead, recent));
        await Insert(table, Member(3, SiloStatus.Active, old));
        await Insert(table, Member(4, SiloStatus.Joining, old));
        var frozen = Member(5, SiloStatus.Dead, old);
        await Insert(table, frozen);
        frozen.IAmAliveTime = recent;
        await table.UpdateIAmAliveAsync(frozen, Cancelled);
        var voted = Member(6, SiloStatus.Dead, old);
        await Insert(table, voted);
        voted.AddSuspector(Address(9), old);
        Assert.True(await Update(table, voted));
        var other = await StartedTable();
        await Insert(other, Member(1, SiloStatus.Dead, old));

        await table.CleanupDefunctSiloEntriesAsync(Noon.AddDays(-7), Cancelled);

        var left = await table.ReadAllAsync(Cancelled);
        Assert.Equal([2, 3, 4, 5], left.Members.Select(m => m.Item1.SiloAddress.Endpoint.Port).Order());
        Assert.Equal(7, left.Version.Version);
        Assert.Single((await other.ReadAllAsync(Cancelled)).Members);
    }

    [Theory]
    [InlineData("alive_at = alive_at + interval '1 microsecond'")]
    [InlineData("suspect_times = '127.0.0.1:9@1,2026-03-15 12:00:00.000 GMT'")]
    [InlineData("started_at = started_at + interval '1 microsecond'")]
    [InlineData("status = 3")]
    public async Task A_dead_member_is_removed_only_as_it_was_read(string change)
    {
        var clusterId = NewCluster();
        var table = await StartedTable(clusterId);
        await Insert(table, Member(1, SiloStatus.Dead));
        await using var connection = new NpgsqlConnection(database.ConnectionString);
        await connection.OpenAsync(Cancelled);
        var text = (string)(await Command("SELECT querytext FROM orleansquery WHERE querykey = 'CleanupDefunctSiloEntryKey'")
            .ExecuteScalarAsync(Cancelled))!;
        await Command($"UPDATE members SET {change} WHERE cluster_id = '{clusterId}'").ExecuteNonQueryAsync(Cancelled);

        Assert.Equal(0, await Cleanup().ExecuteNonQueryAsync(Cancelled));

        await Command($"DELETE FROM members WHERE cluster_id = '{clusterId}'").ExecuteNonQueryAsync(Cancelled);
        await Insert(table, Member(1, SiloStatus.Dead));
        Assert.Equal(1, await Cleanup().ExecuteNonQueryAsync(Cancelled));

        NpgsqlCommand Command(string sql) => new(sql, connection);

        NpgsqlCommand Cleanup()
        {
            var command = Command(text);
            command.Parameters.AddWithValue("DeploymentId", clusterId);
            command.Parameters.AddWithValue("Address", Address(1).Endpoint.Address.ToString());
            command.Parameters.AddWithValue("Port", Address(1).Endpoint.Port);
            command.Parameters.AddWithValue("Generation", Address(1).Generation);
            command.Parameters.AddWithValue("StartTime", Noon);
            command.Parameters.AddWithValue("IAmAliveTime", Noon);
            command.Parameters.AddWithValue("SuspectTimes", NpgsqlTypes.NpgsqlDbType.Text, DBNull.Value);
            return command;
        }
    }

    [Fact]
    public async Task Clients_find_the_gateways_of_active_silos()
    {
        var clusterId = NewCluster();
        var table = await StartedTable(clusterId);
        await Insert(table, Member(1));
        await Insert(table, Member(2, SiloStatus.Dead));
        await Insert(table, Member(3, SiloStatus.Joining));
        var withoutGateway = Member(4);
        withoutGateway.ProxyPort = 0;
        await Insert(table, withoutGateway);
        await Insert(await StartedTable(), Member(5));
        var client = new AdoNetGatewayListProvider(
            NullLogger<AdoNetGatewayListProvider>.Instance,
            Services,
            Options.Create(new AdoNetClusteringClientOptions
            {
                Invariant = OrleansDatabase.Invariant,
                ConnectionString = database.ConnectionString,
            }),
            Options.Create(new GatewayOptions()),
            Options.Create(new ClusterOptions { ClusterId = clusterId, ServiceId = clusterId }));
        await client.InitializeGatewayListProvider();

        var gateways = await client.GetGateways();

        Assert.Equal(["gwy.tcp://127.0.0.1:1001/1"], gateways.Select(g => g.ToString()));
    }

    [Fact]
    public async Task A_cluster_is_deleted_without_touching_another()
    {
        var clusterId = NewCluster();
        var table = await StartedTable(clusterId);
        await Insert(table, Member(1));
        var other = await StartedTable();
        await Insert(other, Member(1));

        await table.DeleteMembershipTableEntriesAsync(clusterId, Cancelled);

        await table.InitializeMembershipTableAsync(tryInitTableVersion: true, Cancelled);
        Assert.Empty((await table.ReadAllAsync(Cancelled)).Members);
        Assert.Single((await other.ReadAllAsync(Cancelled)).Members);
    }

    private static readonly ServiceProvider Services = new ServiceCollection().BuildServiceProvider();

    private static string NewCluster() => $"cluster-{Guid.NewGuid():N}";

    private static SiloAddress Address(int n) => SiloAddress.New(IPAddress.Loopback, n, 1);

    private static MembershipEntry Member(int n, SiloStatus status = SiloStatus.Active, DateTime? since = null) => new()
    {
        SiloAddress = Address(n),
        SiloName = $"silo-{n}",
        HostName = "localhost",
        Status = status,
        ProxyPort = 1000 + n,
        StartTime = since ?? Noon,
        IAmAliveTime = since ?? Noon,
    };

    private AdoNetClusteringTable Table(string clusterId) => new AdoNetClusteringTable(
        Services,
        Options.Create(new ClusterOptions { ClusterId = clusterId, ServiceId = clusterId }),
        Options.Create(new AdoNetClusteringSiloOptions
        {
            Invariant = OrleansDatabase.Invariant,
            ConnectionString = database.ConnectionString,
        }),
        NullLogger<AdoNetClusteringTable>.Instance);

    private async Task<IMembershipTable> StartedTable(string? clusterId = null)
    {
        IMembershipTable table = Table(clusterId ?? NewCluster());
        await table.InitializeMembershipTableAsync(tryInitTableVersion: true, Cancelled);
        return table;
    }

    private Task<bool[]> RaceAsync(string clusterId, IEnumerable<Func<Task<bool>>> rivals) => Race.RunAsync(
        database.ConnectionString, $"SELECT FROM clusters WHERE cluster_id = '{clusterId}' FOR UPDATE", rivals);

    private static async Task Insert(IMembershipTable table, MembershipEntry member) =>
        Assert.True(await table.InsertRowAsync(member, (await table.ReadAllAsync(Cancelled)).Version.Next(), Cancelled));

    private static async Task<bool> Update(IMembershipTable table, MembershipEntry member)
    {
        var version = (await table.ReadAllAsync(Cancelled)).Version.Next();
        return await table.UpdateRowAsync(member, version.VersionEtag, version, Cancelled);
    }
}
