namespace Bank.Host.Postgres;

/// <summary>Starts the private server again when it has died, on the port that the pools know.</summary>
internal sealed class PostgresWatch(LocalPostgres postgres, TimeProvider time, ILogger<PostgresWatch> logger) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                if (postgres.ProcessId is not null)
                    continue;

                Log.PostgresDied(logger);
                try
                {
                    await postgres.StartAsync(stoppingToken, keepPort: true);
                    Log.PostgresRestarted(logger, postgres.Port);
                }
                catch (Exception e) when (e is CommandException or Npgsql.NpgsqlException)
                {
                    Log.PostgresNotRestarted(logger, e);
                }
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The host ends; its lease stops the server.
        }
    }
}
