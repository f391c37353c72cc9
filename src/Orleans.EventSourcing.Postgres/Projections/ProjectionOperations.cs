using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Orleans.EventSourcing.Postgres;

/// <summary>Who acts on a projection, and why.</summary>
/// <param name="By">The operator.</param>
/// <param name="Reason">As given; may be missing.</param>
/// <param name="Id">Of the act and of its event: asked for again with the same one, it happens once. Null: one is made up.</param>
[GenerateSerializer, Immutable, Alias("journal.OperatorAct")]
public sealed record OperatorAct(
    [property: Id(0)] string By, [property: Id(1)] string? Reason = null, [property: Id(2)] Guid? Id = null);

/// <summary>What became of an act.</summary>
public enum OperatorOutcome
{
    /// <summary>Recorded, and done.</summary>
    Done,

    /// <summary>An earlier call with the same id has recorded it.</summary>
    Repeated,

    /// <summary>The id belongs to another act; nothing was done.</summary>
    IdReused,

    /// <summary>There is no such projection, or the partition has not parked there; nothing was done or recorded.</summary>
    NothingToActOn,
}

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

    /// <summary>Lets all partitions stand still where they are.</summary>
    /// <exception cref="JournalUnavailableException">The act cannot be recorded at present; nothing was done.</exception>
    public Task<OperatorOutcome> PauseAsync(string projection, OperatorAct act, CancellationToken cancellation) => ActAsync(
        projection, "ProjectionPaused", act, _ => runtime.Store.SetPausedAsync(projection, true, cancellation));

    /// <summary>Lets them go on.</summary>
    /// <exception cref="JournalUnavailableException">The act cannot be recorded at present; nothing was done.</exception>
    public Task<OperatorOutcome> ResumeAsync(string projection, OperatorAct act, CancellationToken cancellation) => ActAsync(
        projection, "ProjectionResumed", act, _ => runtime.Store.SetPausedAsync(projection, false, cancellation));

    /// <summary>Fills new tables from the whole journal, which then serve in place of the old ones.</summary>
    /// <exception cref="JournalUnavailableException">The act cannot be recorded at present; nothing was done.</exception>
    public Task<OperatorOutcome> RebuildAsync(string projection, OperatorAct act, CancellationToken cancellation) => ActAsync(
        projection, "ProjectionRebuildStarted", act, async before =>
        {
            // Asked for again: tables that have been begun since are those that were asked for.
            if (before is { } since && await runtime.Store.HasBegunSinceAsync(projection, since, cancellation).ConfigureAwait(false))
                return;
            var generation = await runtime.Store.RebuildAsync(runtime.Find(projection)!, runtime.Options.Partitions, cancellation)
                .ConfigureAwait(false);
            Log.ProjectionRebuilds(runtime.Logger, projection, generation, act.Reason ?? "an operator asked for it");
        });

    /// <summary>Has a parked partition try its event again.</summary>
    /// <exception cref="JournalUnavailableException">The act cannot be recorded at present; nothing was done.</exception>
    public Task<OperatorOutcome> RetryAsync(string projection, int partition, OperatorAct act, CancellationToken cancellation) => ActAsync(
        projection, "ProjectionPartitionRetried", act, _ => runtime.Store.RetryAsync(projection, partition, cancellation), partition, null,
        async () => await runtime.Store.ParkedAsync(projection, partition, cancellation).ConfigureAwait(false) is [var parked, ..]
            ? parked
            : null);

    /// <summary>Steps over exactly the event at which a partition has parked.</summary>
    /// <exception cref="JournalUnavailableException">The act cannot be recorded at present; nothing was done.</exception>
    public Task<OperatorOutcome> SkipAsync(
        string projection, int partition, Position position, OperatorAct act, CancellationToken cancellation) => ActAsync(
        projection, "ProjectionEventSkipped", act, _ => runtime.Store.SkipAsync(projection, partition, position, cancellation), partition,
        position,
        async () => await runtime.Store.CanSkipAsync(projection, partition, position, cancellation).ConfigureAwait(false)
            ? position
            : null);

    /// <summary>Records a rebuild that the host has begun by itself.</summary>
    /// <exception cref="JournalUnavailableException">It cannot be recorded at present.</exception>
    public Task RecordRebuildAsync(string projection, string reason) =>
        RecordAsync(projection, "ProjectionRebuildStarted", new("host", reason), null, null, null);

    private async Task<OperatorOutcome> ActAsync(
        string projection, string type, OperatorAct act, Func<DateTimeOffset?, Task> takeEffectAsync, int? partition = null,
        Position? asked = null, Func<Task<Position?>>? parked = null)
    {
        if (runtime.Find(projection) is null)
            return OperatorOutcome.NothingToActOn;
        var recorded = await RecordAsync(projection, type, act, partition, asked, parked).ConfigureAwait(false);
        // Whoever recorded it may have died before it had its effect, unless somebody has acted since.
        if (recorded is { Outcome: OperatorOutcome.Done } or { Outcome: OperatorOutcome.Repeated, IsLast: true })
        {
            await takeEffectAsync(recorded.Before).ConfigureAwait(false);
            await wake(projection).ConfigureAwait(false);
        }

        return recorded.Outcome;
    }

    private async Task<Recorded> RecordAsync(
        string projection, string type, OperatorAct act, int? partition, Position? asked, Func<Task<Position?>>? parked)
    {
        var stream = $"projection-{projection}";
        var id = act.Id ?? Guid.CreateVersion7(time.GetUtcNow());
        // What was asked for, without what was found here.
        var hash = SHA256.HashData([.. Encoding.UTF8.GetBytes(type), .. Write(act, partition, asked)]);
        var sent = false;
        for (var attempt = 0; attempt < MaxConflicts; attempt++)
        {
            if (await journal.AskAsync(new(stream, id)).ConfigureAwait(false) is not Answer.Confirmed { Last: var last } answer)
                break;
            if (answer.Recorded is [var before, ..])
                return before.StreamId != stream || !EventMetadata.HasHash(before, hash) ? new(OperatorOutcome.IdReused)
                    : sent ? new(OperatorOutcome.Done)
                    : new(OperatorOutcome.Repeated, before.RecordedAt, last.EventId == id);
            Position? at = null;
            if (parked is not null && (at = await parked().ConfigureAwait(false)) is null)
                return new(OperatorOutcome.NothingToActOn);
            var happened = new NewEvent(id, type, 1, Write(act, partition, at), EventMetadata.Write(1, 1, id, hash, null));
            var outcome = await journal.AppendAsync(new(stream, last, [happened], new())).ConfigureAwait(false);
            if (outcome is AppendOutcome.Appended)
                return new(OperatorOutcome.Done);
            // What is there already, or may be, is what the next question finds.
            sent |= outcome is AppendOutcome.Unknown;
            if (outcome is AppendOutcome.Invalid or AppendOutcome.Overloaded or AppendOutcome.Unavailable)
                break;
        }

        throw new JournalUnavailableException($"{type} of {projection} cannot be recorded at present.");
    }

    private static byte[] Write(OperatorAct act, int? partition, Position? position)
    {
        var buffer = new ArrayBufferWriter<byte>(128);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("by"u8, act.By);
            json.WriteString("reason"u8, act.Reason);
            if (partition is { } n)
                json.WriteNumber("partition"u8, n);
            if (position is { } at)
                json.WriteNumber("position"u8, at.Value);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    // Before: when an earlier call had recorded it. IsLast: nobody has acted on the projection since.
    private readonly record struct Recorded(OperatorOutcome Outcome, DateTimeOffset? Before = null, bool IsLast = true);
}
