namespace Bank.Host;

internal static partial class Log
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "PostgreSQL has died; starting it again")]
    public static partial void PostgresDied(ILogger logger);

    [LoggerMessage(Level = LogLevel.Warning, Message = "PostgreSQL runs again on port {Port}")]
    public static partial void PostgresRestarted(ILogger logger, int port);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Waiting for a silo: {Reason}")]
    public static partial void WaitsForSilo(ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Silo {Silo} is gone: nobody listens where it did. It is to be declared dead")]
    public static partial void SiloIsGone(ILogger logger, SiloAddress silo);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Silo {Silo} is gone, but could not be declared dead")]
    public static partial void SiloNotDeclaredDead(ILogger logger, SiloAddress silo, Exception exception);

    [LoggerMessage(Level = LogLevel.Error, Message = "PostgreSQL could not be started again")]
    public static partial void PostgresNotRestarted(ILogger logger, Exception exception);
}
