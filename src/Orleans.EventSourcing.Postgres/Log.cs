using Microsoft.Extensions.Logging;

namespace Orleans.EventSourcing.Postgres;

internal static partial class Log
{
    [LoggerMessage(Level = LogLevel.Information, Message = "Applied {Schema}/{Script}")]
    public static partial void ScriptApplied(ILogger logger, string schema, string script);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Refusal}")]
    public static partial void RoleSettingRefused(ILogger logger, string refusal);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{View} has no snapshots, its streams replay from their first event: {Reason}. "
        + "Give the view [GenerateSerializer], or a codec (o.Views.Add), or properties that JSON reads back")]
    public static partial void ViewHasNoSnapshots(this ILogger logger, Type view, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "The writer of {Silo} is connected, attempt {Attempt}")]
    public static partial void WriterConnected(ILogger logger, string silo, long attempt);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The writer cannot connect")]
    public static partial void ConnectFailed(ILogger logger, Exception exception);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A call of attempt {Attempt} was lost: it may have committed, and is made again")]
    public static partial void CallLost(ILogger logger, long attempt, Exception exception);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The journal has refused a call, which is made again: {SqlState} {Reason}")]
    public static partial void CallRefused(ILogger logger, string sqlState, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Postgres refuses the data of one append: {SqlState} {Reason}")]
    public static partial void DataRefused(ILogger logger, string sqlState, string reason);

    [LoggerMessage(Level = LogLevel.Critical, Message = "{Silo} is fenced: others hold it for dead, and it writes nothing any more")]
    public static partial void Fenced(ILogger logger, string silo);

    [LoggerMessage(Level = LogLevel.Critical, Message = "{Silo} writes nothing any more and has to start anew: {Reason}")]
    public static partial void JournalRestored(ILogger logger, string silo, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Silo} is dead, and fenced: nothing of it is accepted any more")]
    public static partial void SiloFenced(ILogger logger, string silo);

    [LoggerMessage(Level = LogLevel.Critical, Message = "The writer has a fault")]
    public static partial void WriterFault(ILogger logger, Exception exception);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Backend {ProcessId} of {User} holds the journal's head and waits for a client "
        + "that has frozen: terminating it")]
    public static partial void HeadFreed(ILogger logger, int processId, string user);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Backend {ProcessId} of {User} holds the journal's head and waits for {WaitsFor}")]
    public static partial void HeadHeld(ILogger logger, int processId, string user, string waitsFor);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Who holds the journal's head cannot be found out")]
    public static partial void HeadWatchFailed(ILogger logger, Exception exception);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The snapshot of {Stream} at version {Version} is damaged and left aside")]
    public static partial void SnapshotDamaged(ILogger logger, string stream, long version);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Count} snapshots could not be saved, and are dropped")]
    public static partial void SnapshotsNotSaved(ILogger logger, int count, Exception exception);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The journal cannot be followed at present, and is tried again in {BackOff}")]
    public static partial void TailLost(ILogger logger, TimeSpan backOff, Exception exception);

    [LoggerMessage(Level = LogLevel.Critical, Message = "The journal was restored: it was followed to position {Position}, and now it ends "
        + "at {Head}, or holds another event there")]
    public static partial void TailRestored(ILogger logger, long position, long head);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Stream} cannot be read after {Position}, and is tried again in {BackOff}")]
    public static partial void StreamUnread(
        ILogger logger, Orleans.Runtime.StreamId stream, long position, TimeSpan backOff, Exception exception);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Another activation of {Projection}/{Partition} was faster, or the partition stands "
        + "still; looking again: {Reason}")]
    public static partial void ProjectionFenced(ILogger logger, string projection, int partition, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Projection}/{Partition} cannot go on at present, and tries again")]
    public static partial void ProjectionRetries(ILogger logger, string projection, int partition, Exception exception);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Projection}/{Partition} cannot apply {EventType} at position {Position}")]
    public static partial void ProjectionParks(
        ILogger logger, string projection, int partition, Position position, string eventType, Exception exception);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Projection}/{Partition} of generation {Generation} has parked: {Reason}")]
    public static partial void ProjectionParked(ILogger logger, string projection, int partition, int generation, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Projection} is filled anew, generation {Generation}: {Reason}")]
    public static partial void ProjectionRebuilds(ILogger logger, string projection, int generation, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "The new tables of {Projection} serve")]
    public static partial void ProjectionSwapped(ILogger logger, string projection);
}
