using System.Collections.Immutable;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Orleans.Runtime;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// Fences, before anything is loaded, every silo that is dead in this one's view of the cluster, and at start this silo's own
/// predecessors: those of the same cluster and endpoint, which may write no more, since this one has bound their port.
/// </summary>
internal sealed class SiloFences(
    string clusterId,
    SiloAddress self,
    IClusterMembershipService membership,
    IHostApplicationLifetime lifetime,
    PostgresJournalOptions options,
    ILogger<SiloFences> log) : ISiloFences, ILifecycleParticipant<ISiloLifecycle>, IAsyncDisposable
{
    private readonly NpgsqlDataSource _database = JournalDatabase.BuildFences(options);
    private readonly Lock _gate = new();
    private Task _fencing = Task.CompletedTask;
    private ImmutableHashSet<string> _fenced = [];
    private ClusterMembershipSnapshot? _checked;

    public async Task WaitAsync(CancellationToken cancellation)
    {
        var view = membership.CurrentSnapshot;
        for (var isOurs = false; !isOurs && !ReferenceEquals(Volatile.Read(ref _checked), view);)
        {
            Task fencing;
            lock (_gate)
            {
                // One attempt for all that wait, however it ends: where the database is silent, one after the other would wait for the
                // time-outs of all before it.
                isOurs = _fencing.IsCompleted;
                if (isOurs)
                    _fencing = FenceDeadAsync(view);
                fencing = _fencing;
            }

            await fencing.WaitAsync(cancellation).ConfigureAwait(false);
        }
    }

    public void OnFenced() => lifetime.StopApplication();

    public void Participate(ISiloLifecycle lifecycle) => lifecycle.Subscribe(
        nameof(SiloFences), ServiceLifecycleStage.RuntimeGrainServices, FencePredecessorsAsync, _ => Task.CompletedTask);

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    // One at a time.
    private async Task FenceDeadAsync(ClusterMembershipSnapshot view)
    {
        // Away from whoever asked first: it belongs to no grain.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        var dead = DeadIn(view).Except(_fenced);
        if (!dead.IsEmpty)
            await FenceAsync("SELECT journal.fence($1)", [.. dead], CancellationToken.None).ConfigureAwait(false);
        _fenced = _fenced.Union(dead);
        Volatile.Write(ref _checked, view);
    }

    // A predecessor that the cluster's membership has forgotten, or never knew, is in the journal's list if it ever wrote.
    private Task FencePredecessorsAsync(CancellationToken cancellation) => FenceAsync(
        """
        SELECT journal.fence(array_agg(w.silo)) FROM journal.writers w
        WHERE starts_with(w.silo, $1[1]) AND w.silo <> $1[2] AND w.fenced_at IS NULL
        HAVING count(*) > 0
        """,
        [SiloName.EndpointOf(clusterId, self), SiloName.Of(clusterId, self)],
        cancellation);

    private async Task FenceAsync(string sql, string[] silos, CancellationToken cancellation)
    {
        try
        {
            await using var command = _database.CreateCommand(sql);
            command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = silos });
            await using var reader = await command.ExecuteReaderAsync(cancellation).ConfigureAwait(false);
            while (await reader.ReadAsync(cancellation).ConfigureAwait(false))
            {
                var silo = reader.GetString(0);
                Log.SiloFenced(log, silo);
            }
        }
        catch (NpgsqlException e)
        {
            throw new JournalUnavailableException($"Silos that are dead cannot be fenced at present: {e.Message}", e);
        }
    }

    private ImmutableHashSet<string> DeadIn(ClusterMembershipSnapshot view) =>
    [
        .. view.Members.Values
            .Where(member => member.Status == SiloStatus.Dead && !member.SiloAddress.Equals(self))
            .Select(member => SiloName.Of(clusterId, member.SiloAddress)),
    ];
}
