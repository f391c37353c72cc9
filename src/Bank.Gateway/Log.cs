using Microsoft.Extensions.Logging;

namespace Bank.Gateway;

internal static partial class Log
{
    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "{Method} {Path} is answered {Code}, for a reason that nobody foresaw. Correlation id {CorrelationId}")]
    public static partial void RequestFailed(
        this ILogger logger, string method, string path, string code, string correlationId, Exception exception);
}
