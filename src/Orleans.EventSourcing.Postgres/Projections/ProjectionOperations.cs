using System.Buffers;
using System.Text.Json;

namespace Orleans.EventSourcing.Postgres;

/// <summary>Who acts on a projection, and why.</summary>
/// <param name="By">The operator.</param>
/// <param name="Reason">As given; may be missing.</param>
[GenerateSerializer, Immutable, Alias("journal.OperatorAct")]
public sealed record OperatorAct([property: Id(0)] string By, [property: Id(1)] string? Reason = null);

/// <summary>
/// What an operator does to projections. Every act is an event of the stream <c>projection-{name}</c> before it has an effect.
/// </summary>
/// <param name="runtime">The projections.</param>
/// <param name="journal">Takes the acts.</param>
/// <param name="time">The clock.</param>
/// <param name="wake">Has all partitions of a projection, wherever they run, look at the database.</param>
public sealed class ProjectionOperations(ProjectionRuntime runtime, IJournal journal, TimeProvider time, Func<string, Task> wake)
{
    private const int MaxConflicts = 8;

    /// <summary>Whether there is such a projection.</summary>
    public bool Exists(string projection) => runtime.Find(projection) is not null;

    /// <summary>Lets all partitions stand still where they are.</summary>
    /// <exception cref="JournalUnavailableException">The act cannot be recorded at present; nothing was done.</exception>
    public async Task PauseAsync(string projection, OperatorAct act, CancellationToken cancellation)
    {
        await RecordAsync(projection, "ProjectionPaused", act, null).ConfigureAwait(false);
        await runtime.Store.SetPausedAsync(projection, true, cancellation).ConfigureAwait(false);
        await wake(projection).ConfigureAwait(false);
    }

    /// <summary>Lets them go on.</summary>
    /// <exception cref="JournalUnavailableException">The act cannot be recorded at present; nothing was done.</exception>
    public async Task ResumeAsync(string projection, OperatorAct act, CancellationToken cancellation)
    {
        await RecordAsync(projection, "ProjectionResumed", act, null).ConfigureAwait(false);
        await runtime.Store.SetPausedAsync(projection, false, cancellation).ConfigureAwait(false);
        await wake(projection).ConfigureAwait(false);
    }

    /// <summary>Fills new tables from the whole journal, which then serve in place of the old ones.</summary>
    /// <exception cref="JournalUnavailableException">The act cannot be recorded at present; nothing was done.</exception>
    public async Task RebuildAsync(string projection, OperatorAct act, CancellationToken cancellation)
    {
        await RecordAsync(projection, "ProjectionRebuildStarted", act, null).ConfigureAwait(false);
        var generation = await runtime.Store.RebuildAsync(runtime.Find(projection)!, runtime.Options.Partitions, cancellation)
            .ConfigureAwait(false);
        Log.ProjectionRebuilds(runtime.Logger, projection, generation, act.Reason ?? "an operator asked for it");
        await wake(projection).ConfigureAwait(false);
    }

    /// <summary>Has a parked partition try its event again.</summary>
    /// <returns>Whether it had parked; else nothing was done or recorded.</returns>
    /// <exception cref="JournalUnavailableException">The act cannot be recorded at present; nothing was done.</exception>
    public async Task<bool> RetryAsync(string projection, int partition, OperatorAct act, CancellationToken cancellation)
    {
        var parked = await runtime.Store.ParkedAsync(projection, partition, cancellation).ConfigureAwait(false);
        if (parked.Count == 0)
            return false;
        await RecordAsync(projection, "ProjectionPartitionRetried", act, json =>
        {
            json.WriteNumber("partition"u8, partition);
            json.WriteNumber("position"u8, parked[0].Value);
        }).ConfigureAwait(false);
        await runtime.Store.RetryAsync(projection, partition, cancellation).ConfigureAwait(false);
        await wake(projection).ConfigureAwait(false);
        return true;
    }

    /// <summary>Steps over exactly the event at which a partition has parked.</summary>
    /// <returns>Whether it had parked there, at an event; else nothing was done or recorded.</returns>
    /// <exception cref="JournalUnavailableException">The act cannot be recorded at present; nothing was done.</exception>
    public async Task<bool> SkipAsync(string projection, int partition, Position position, OperatorAct act, CancellationToken cancellation)
    {
        if (!await runtime.Store.CanSkipAsync(projection, partition, position, cancellation).ConfigureAwait(false))
            return false;
        await RecordAsync(projection, "ProjectionEventSkipped", act, json =>
        {
            json.WriteNumber("partition"u8, partition);
            json.WriteNumber("position"u8, position.Value);
        }).ConfigureAwait(false);
        var skipped = await runtime.Store.SkipAsync(projection, partition, position, cancellation).ConfigureAwait(false);
        await wake(projection).ConfigureAwait(false);
        return skipped;
    }

    /// <summary>Records a rebuild that the host has begun by itself.</summary>
    /// <exception cref="JournalUnavailableException">It cannot be recorded at present.</exception>
    public Task RecordRebuildAsync(string projection, string reason) =>
        RecordAsync(projection, "ProjectionRebuildStarted", new("host", reason), null);

    private async Task RecordAsync(string projection, string type, OperatorAct act, Action<Utf8JsonWriter>? what)
    {
        var stream = $"projection-{projection}";
        var id = Guid.CreateVersion7(time.GetUtcNow());
        var happened = new NewEvent(id, type, 1, Write(act, what), EventMetadata.Write(1, 1, id, [], null));
        for (var attempt = 0; attempt < MaxConflicts; attempt++)
        {
            if (await journal.AskAsync(new(stream, null)).ConfigureAwait(false) is not Answer.Confirmed { Last: var last })
                break;
            var outcome = await journal.AppendAsync(new(stream, last, [happened], new())).ConfigureAwait(false);
            // The same id again, after an attempt whose end nobody heard of.
            if (outcome is AppendOutcome.Appended or AppendOutcome.AlreadyAppended or AppendOutcome.IdReused)
                return;
            if (outcome is not (AppendOutcome.Conflict or AppendOutcome.Unknown))
                break;
        }

        throw new JournalUnavailableException($"{type} of {projection} cannot be recorded at present.");
    }

    private static byte[] Write(OperatorAct act, Action<Utf8JsonWriter>? what)
    {
        var buffer = new ArrayBufferWriter<byte>(128);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("by"u8, act.By);
            json.WriteString("reason"u8, act.Reason);
            what?.Invoke(json);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }
}
