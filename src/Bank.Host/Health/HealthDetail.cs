using System.Diagnostics.Metrics;
using Bank.Gateway;
using Bank.Grains.Transfers;
using Bank.Host.Postgres;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using Npgsql;
using Orleans.Configuration;
using Orleans.EventSourcing.Postgres;
using Orleans.Runtime;

namespace Bank.Host.Health;

/// <summary>What an operator looks at first, as <c>/health/detail</c> and <c>./bank status</c> show it.</summary>
/// <param name="Status"><c>ready</c>, <c>degraded</c> or <c>unready</c>.</param>
/// <param name="Checks">Of readiness, each with what it found.</param>
/// <param name="Role">Of this process.</param>
/// <param name="Database">How the server is; null where it could not be asked.</param>
/// <param name="DataDirectory">Null where the database is not on this machine's private server.</param>
/// <param name="WriterQueue">Events and questions that wait for this process's writer; null where it has none.</param>
/// <param name="Projections">Null where they could not be read, like all that follow.</param>
/// <param name="Transfers">How many are under way.</param>
/// <param name="Members">Of the cluster, the dead ones left out.</param>
internal sealed record HealthReport(
    string Status,
    IReadOnlyDictionary<string, string> Checks,
    string Role,
    HealthReport.Server? Database,
    HealthReport.Space? DataDirectory,
    int? WriterQueue,
    IReadOnlyList<HealthReport.Lag>? Projections,
    TransferCounts? Transfers,
    IReadOnlyList<HealthReport.Silo>? Members)
{
    /// <param name="Role"><c>primary</c> or <c>standby</c>.</param>
    /// <param name="Version">Of PostgreSQL.</param>
    /// <param name="ClockOffsetMilliseconds">By how much its clock is ahead of this machine's.</param>
    /// <param name="Connections">In use, of all who connect to it.</param>
    /// <param name="MaxConnections">How many it allows.</param>
    internal sealed record Server(string Role, string Version, double ClockOffsetMilliseconds, long Connections, int MaxConnections);

    /// <param name="Path">The directory.</param>
    /// <param name="FreeBytes">Of its disk.</param>
    /// <param name="TotalBytes">Of its disk.</param>
    internal sealed record Space(string Path, long FreeBytes, long TotalBytes);

    /// <param name="Name">Of the projection.</param>
    /// <param name="State">As in <c>GET /projections</c>.</param>
    /// <param name="LagEvents">How far it is behind.</param>
    /// <param name="LagSeconds">How long.</param>
    /// <param name="Parked">Partitions that stand still.</param>
    internal sealed record Lag(string Name, string State, long LagEvents, decimal LagSeconds, IReadOnlyList<int> Parked);

    /// <param name="Name">Of the silo.</param>
    /// <param name="Address">Where other silos reach it.</param>
    /// <param name="State">In Orleans' words.</param>
    /// <param name="SilentSeconds">Since it last said that it lives.</param>
    /// <param name="Suspected">By how many.</param>
    internal sealed record Silo(string Name, string Address, string State, double SilentSeconds, int Suspected);
}

/// <summary>Gathers a <see cref="HealthReport"/>; what cannot be found out in time is left out.</summary>
internal sealed class HealthDetail(
    HealthCheckService checks, NpgsqlDataSource database, ProjectionStatusReader projections, TransferWatch transfers,
    IMeterFactory meters, IOptions<ClusterOptions> cluster, TimeProvider time, HostSettings? settings = null)
{
    private static readonly TimeSpan Within = TimeSpan.FromSeconds(3);

    public async Task<HealthReport> ReadAsync(Role role, CancellationToken cancellation)
    {
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limited.CancelAfter(Within);
        var ready = checks.CheckHealthAsync(cancellation);
        var server = Found(ServerAsync(limited.Token));
        var lags = Found(LagsAsync(limited.Token));
        var counts = Found(transfers.CountAsync(limited.Token));
        var members = Found(MembersAsync(limited.Token));
        var report = await ready;
        return new(
            BankHealth.Word(report.Status),
            report.Entries.ToDictionary(entry => entry.Key, entry => BankHealth.Describe(entry.Value)),
            role.ToString().ToLowerInvariant(),
            await server,
            DataDirectory(),
            WriterQueue(),
            await lags,
            await counts,
            await members);
    }

    private static async Task<T?> Found<T>(Task<T> asked) where T : class
    {
        try
        {
            return await asked;
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or OperationCanceledException)
        {
            // The checks say that the database is away.
            return null;
        }
    }

    private async Task<HealthReport.Server> ServerAsync(CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        await using var command = new NpgsqlCommand(
            """
            SELECT clock_timestamp(), pg_is_in_recovery(), current_setting('server_version'),
                   (SELECT sum(numbackends) FROM pg_stat_database)::bigint, current_setting('max_connections')::integer
            """,
            connection);
        // So that what is timed is the question alone.
        await command.PrepareAsync(cancellation);
        var asked = time.GetTimestamp();
        var before = time.GetUtcNow();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        // It looked at its clock somewhere between question and answer.
        var here = before + time.GetElapsedTime(asked) / 2;
        return new(
            reader.GetBoolean(1) ? "standby" : "primary",
            reader.GetString(2),
            Math.Round((reader.GetFieldValue<DateTimeOffset>(0) - here).TotalMilliseconds, 3),
            reader.GetInt64(3),
            reader.GetInt32(4));
    }

    private HealthReport.Space? DataDirectory()
    {
        if (settings is null || !LocalPostgres.Serves(settings.DataDirectory, database.ConnectionString))
            return null;
        var disk = new DriveInfo(settings.DataDirectory);
        return new(settings.DataDirectory, disk.AvailableFreeSpace, disk.TotalSize);
    }

    // As the metric says it, so that there is one truth.
    private int? WriterQueue()
    {
        int? length = null;
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Name == "journal.queue.length" && ReferenceEquals(instrument.Meter.Scope, meters))
                    listener.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<int>((_, value, _, _) => length = value);
        listener.Start();
        listener.RecordObservableInstruments();
        return length;
    }

    private async Task<IReadOnlyList<HealthReport.Lag>> LagsAsync(CancellationToken cancellation) =>
    [
        .. (await projections.ReadAsync(cancellation)).Select(p => new HealthReport.Lag(
            p.Name, p.State, p.LagEvents, p.LagSeconds, [.. p.Partitions.Where(n => n.Parked is not null).Select(n => n.N)])),
    ];

    private async Task<IReadOnlyList<HealthReport.Silo>> MembersAsync(CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            SELECT silo_name, address || ':' || port, status, extract(epoch FROM clock_timestamp() - alive_at)::float8,
                   coalesce(array_length(string_to_array(nullif(suspect_times, ''), '|'), 1), 0)
            FROM orleans.members WHERE cluster_id = $1 AND status <> $2 ORDER BY silo_name, started_at
            """);
        command.Parameters.Add(new() { Value = cluster.Value.ClusterId });
        command.Parameters.Add(new() { Value = (int)SiloStatus.Dead });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var members = new List<HealthReport.Silo>();
        while (await reader.ReadAsync(cancellation))
            members.Add(new(
                reader.GetString(0),
                reader.GetString(1),
                ((SiloStatus)reader.GetInt32(2)).ToString().ToLowerInvariant(),
                Math.Round(reader.GetDouble(3), 1),
                reader.GetInt32(4)));
        return members;
    }
}
