using Bank.Contracts;
using Bank.Domain;
using Microsoft.Extensions.Logging;

namespace Bank.Grains;

internal static partial class Log
{
    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Transfer {TransferId} was interrupted in phase {Phase}; it will be resumed. Correlation id {CorrelationId}")]
    public static partial void TransferInterrupted(
        this ILogger logger, Guid transferId, TransferPhase phase, string? correlationId, Exception exception);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Transfer {TransferId} waits in phase {Phase}: {Status}; it will be resumed. Correlation id {CorrelationId}")]
    public static partial void TransferWaits(
        this ILogger logger, Guid transferId, TransferPhase phase, ReplyStatus status, string? correlationId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Transfer {TransferId} has been in phase {Phase} since {LastStepAt:O}; resuming it")]
    public static partial void TransferOverdue(this ILogger logger, Guid transferId, string phase, DateTimeOffset lastStepAt);

    [LoggerMessage(Level = LogLevel.Error, Message = "Transfer {TransferId} could not be resumed; it will be tried again")]
    public static partial void TransferNotResumed(this ILogger logger, Guid transferId, Exception exception);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The watchdog of transfers could not look, and will try again: {Reason}")]
    public static partial void WatchdogRoundFailed(this ILogger logger, string reason);
}
