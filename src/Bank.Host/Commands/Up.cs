using System.Net;
using System.Net.Sockets;
using Bank.Host.Health;
using Bank.Host.Postgres;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.Logging.Console;
using Orleans.EventSourcing.Postgres;

namespace Bank.Host.Commands;

/// <summary><c>./bank up</c>: database, silo and gateway in one process, until a signal ends it.</summary>
internal static class Up
{
    // Grains get 30 s to write what they have (see docs/ARCHITECTURE.md), after requests in flight have been answered.
    private static readonly TimeSpan DrainTimeout = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan DatabaseInterval = TimeSpan.FromSeconds(1);

    // Below everything that appsettings.json and the environment say.
    private static readonly Dictionary<string, string?> Defaults = new()
    {
        ["Logging:LogLevel:Default"] = "Warning",
        // It recommends the server's garbage collector at each start, which a small machine is better off without.
        ["Logging:LogLevel:Orleans.Runtime.Silo"] = "Error",
    };

    private static readonly Dictionary<string, string?> Read = new()
    {
        ["Logging:Console:FormatterName"] = ConsoleFormatterNames.Simple,
        ["Logging:Console:FormatterOptions:SingleLine"] = "true",
    };

    // Scopes have the ids of request, trace and span.
    private static readonly Dictionary<string, string?> Collected = new()
    {
        ["Logging:Console:FormatterName"] = ConsoleFormatterNames.Json,
        ["Logging:Console:FormatterOptions:IncludeScopes"] = "true",
        ["Logging:Console:FormatterOptions:TimestampFormat"] = "yyyy-MM-ddTHH:mm:ss.fffZ",
        ["Logging:Console:FormatterOptions:UseUtcTimestamp"] = "true",
    };

    /// <summary>What the command line says.</summary>
    /// <param name="Role">Null where none was asked for: everything, and what is missing is refused instead of waited for.</param>
    /// <param name="DrainDelay">How long a process that is asked to end goes on serving while it says that it is not ready.</param>
    public sealed record Options(Role? Role, TimeSpan DrainDelay);

    public static async Task<ExitCode> RunAsync(HostSettings settings, Options options, IProgress<string> progress, CancellationToken stop)
    {
        var role = options.Role ?? Role.All;
        var isPrivate = settings.ExternalApp is null;
        if (isPrivate && role != Role.All)
            throw new CommandException(
                ExitCode.DatabaseUnreachable,
                $"A {role} of its own shares its database with others: set ConnectionStrings__Bank, or use ./bank cluster.");
        var data = isPrivate ? $"its data in {settings.DataDirectory}" : "the database of ConnectionStrings__Bank";
        progress.Report($"the {Name(role)} starts on {settings.Urls}, with {data}");
        using var taken = isPrivate ? await TakeAsync(settings, stop) : null;
        RefusePortInUse(settings.Urls);

        await using var room = options.Role is null ? null : await WaitingRoom.OpenAsync(Web(settings, options.Role), stop);
        await using var database = room is null
            ? await OpenDatabaseAsync(settings, progress, stop)
            : await AwaitDatabaseAsync(settings, room, progress, stop);

        var last = isPrivate ? RunningHost.Last(settings.DataDirectory) : null;
        var siloPort = Ports.PreferredOrFree(last?.SiloPort ?? (isPrivate ? 0 : EndpointDefaults.SiloPort));
        var gatewayPort = Ports.PreferredOrFree(last?.GatewayPort ?? (isPrivate ? 0 : EndpointDefaults.GatewayPort));
        await using var app = Build(settings, options, database, siloPort, gatewayPort, room);
        RefuseWrongSettings(app.Services);
        try
        {
            await app.StartAsync(stop);
        }
        catch (IOException e) when (e.InnerException is AddressInUseException)
        {
            throw PortInUse(settings.Urls, e);
        }

        var address = settings with { Urls = app.Urls.First() };
        if (isPrivate)
            new RunningHost(Environment.ProcessId, address.Address, siloPort, gatewayPort).Write(settings.DataDirectory);
        progress.Report($"the {Name(role)} is open: {address.Address}  (Ctrl-C closes it)");
        if (options.Role is null)
            Console.Out.WriteLine(
                $$"""

                curl -X POST {{address.Address}}/api/v1/accounts -H "Content-Type: application/json" \
                  -d '{"owner_name": "John Doe", "initial_deposit": "1000.00"}'
                """);

        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop, app.Lifetime.ApplicationStopping);
        await SleepAsync(Timeout.InfiniteTimeSpan, ended.Token);
        progress.Report("closing: finishing what is under way");
        if (stop.IsCancellationRequested)
        {
            app.Services.GetRequiredService<Readiness>().Leave();
            await SleepAsync(options.DrainDelay, app.Lifetime.ApplicationStopping);
        }

        await app.StopAsync(CancellationToken.None);
        return stop.IsCancellationRequested ? ExitCode.Done : ExitCode.Failed;
    }

    private static string Name(Role role) => role switch { Role.Silo => "silo", Role.Gateway => "gateway", _ => "bank" };

    private static Task SleepAsync(TimeSpan time, CancellationToken end) => Task.Delay(time, TimeProvider.System, end).ContinueWith(
        _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);

    internal static async Task<Database> OpenDatabaseAsync(HostSettings settings, IProgress<string> progress, CancellationToken stop)
    {
        var database = await Database.OpenAsync(settings, progress, stop);
        try
        {
            await RefuseLosingMoneyAsync(settings, database, progress, stop);
            if (database.Local is not null)
                await database.MigrateAsync(progress, stop);
            else if (await database.PendingAsync(stop) is [var first, ..] pending)
                throw new CommandException(
                    ExitCode.NotMigrated,
                    $"The database is not migrated: it lacks {first} ({pending.Count} in all). Run ./bank migrate.");
            return database;
        }
        catch
        {
            await database.DisposeAsync();
            throw;
        }
    }

    // A member of a cluster may be started before its database, or before whoever migrates it.
    private static async Task<Database> AwaitDatabaseAsync(
        HostSettings settings, WaitingRoom room, IProgress<string> progress, CancellationToken stop)
    {
        for (string? said = null; ;)
        {
            try
            {
                var database = await OpenDatabaseAsync(settings, progress, stop);
                room.Say("starting");
                return database;
            }
            catch (CommandException e) when (e.ExitCode is ExitCode.DatabaseUnreachable or ExitCode.NotMigrated)
            {
                if (said != e.Message)
                    progress.Report($"waiting: {said = e.Message}");
                room.Say($"waiting: {e.Message}");
                await Task.Delay(DatabaseInterval, TimeProvider.System, stop);
            }
        }
    }

    private static WebApplicationBuilder Web(HostSettings settings, Role? asked)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions
        {
            // Settings lie beside the program, not in whatever directory it was called from, and are not watched.
            ContentRootPath = AppContext.BaseDirectory,
            Args = ["--hostBuilder:reloadConfigOnChange=false"],
        });
        builder.WebHost.UseUrls(settings.Urls);
        builder.Logging.ClearProviders().AddConsole();
        builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource
        {
            // A member's log is collected, from a container or by ./bank cluster; anybody else's is read as it comes.
            InitialData = [.. Defaults, .. asked is not null && Console.IsOutputRedirected ? Collected : Read],
        });
        builder.Services.AddSingleton<IHostLifetime, NoSignals>();
        return builder;
    }

    private static WebApplication Build(
        HostSettings settings, Options options, Database database, int siloPort, int gatewayPort, WaitingRoom? room)
    {
        var role = options.Role ?? Role.All;
        var builder = Web(settings, options.Role);
        if (room is not null)
            builder.Services.AddSingleton(room);
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = DrainTimeout);
        builder.Services.AddSingleton(settings);
        if (role == Role.Gateway)
            builder.AddBankClient(database.App);
        else
            builder.AddBankSilo(database.App, siloPort, gatewayPort);
        if (role != Role.Silo)
            builder.AddBankGateway();
        builder.AddBankHealth().AddBankTelemetry(role);
        if (database.Local is { } local)
        {
            builder.Services.AddSingleton(local);
            builder.Services.AddHostedService<PostgresWatch>();
        }

        if (room is not null)
            builder.Services.AddSingleton<IHostedService>(room);
        return builder.Build().MapBank(role);
    }

    // Found out now, a wrong setting is one sentence; a start that fails is logged as a fault of the program.
    internal static void RefuseWrongSettings(IServiceProvider services)
    {
        _ = services.GetRequiredService<PostgresJournalOptions>();
        foreach (var validator in services.GetServices<IConfigurationValidator>())
            validator.ValidateConfiguration();
    }

    internal static async Task<IDisposable> TakeAsync(HostSettings settings, CancellationToken stop)
    {
        var directory = settings.DataDirectory;
        try
        {
            Directory.CreateDirectory(directory);
            if (await RunningHost.TryTakeAsync(settings, stop) is { } taken)
                return taken;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandException(ExitCode.DataDirectoryUnusable, $"The data directory {directory} cannot be used: {e.Message}", e);
        }

        var running = RunningHost.Last(directory);
        throw new CommandException(
            ExitCode.AlreadyRunning,
            $"A bank already runs on the data directory {directory}" +
            (running is null ? "." : $" (process {running.ProcessId}, {running.Address}).") +
            " Stop it with ./bank stop, or set BANK_DATA_DIR to another directory.");
    }

    // Found out now, a port in use costs nothing; the web server would find out after everything else had started.
    internal static void RefusePortInUse(string urls)
    {
        foreach (var url in urls.Split(';', StringSplitOptions.RemoveEmptyEntries).Select(BindingAddress.Parse))
        {
            var address = IPAddress.TryParse(url.Host.Trim('[', ']'), out var ip) ? ip
                : url.Host is "localhost" ? IPAddress.Loopback
                : IPAddress.Any;
            try
            {
                if (url.Port != 0 && !Ports.IsFree(address, url.Port))
                    throw PortInUse(url.ToString(), null);
            }
            catch (SocketException e)
            {
                // An address of another machine, or a port that only root may listen on.
                throw new CommandException(
                    ExitCode.Failed, $"{url} cannot be listened on ({e.Message}). Set ASPNETCORE_URLS to another address.", e);
            }
        }
    }

    private static CommandException PortInUse(string url, Exception? inner) =>
        new(ExitCode.PortInUse, $"{url} is in use by another program. Set ASPNETCORE_URLS, for example to http://127.0.0.1:8081.", inner);

    private static async Task RefuseLosingMoneyAsync(
        HostSettings settings, Database database, IProgress<string> progress, CancellationToken cancellation)
    {
        if (await database.DurabilityProblemsAsync(cancellation) is not { Count: > 0 } problems)
            return;
        var found = string.Join(", ", problems);
        if (!settings.AcceptLosingMoney)
            throw new CommandException(
                ExitCode.DurabilityOff,
                $"The database server would lose money in a crash: {found}. If that is fine, set BANK_ACCEPT_LOSING_MONEY=1.");
        progress.Report($"money may be lost in a crash, as BANK_ACCEPT_LOSING_MONEY says: {found}");
    }

    /// <summary>
    /// Signals are the command's: the framework would close the server at once, before others have noticed that it leaves.
    /// </summary>
    private sealed class NoSignals : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    /// <summary>Orleans' own, so that a host of an external database has the same endpoint after a restart.</summary>
    private static class EndpointDefaults
    {
        public const int SiloPort = 11111;
        public const int GatewayPort = 30000;
    }
}
