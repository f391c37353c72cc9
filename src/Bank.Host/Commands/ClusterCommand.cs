using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Bank.Host.Cluster;
using Bank.Host.Postgres;
using Npgsql;
using Spectre.Console;

namespace Bank.Host.Commands;

/// <summary><c>./bank cluster</c>: silos and gateways as processes of their own on this machine, and what can be done to them.</summary>
internal static class ClusterCommand
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan ShutdownTimeout = TimeSpan.FromSeconds(5);

    // A silo has up to five pools (a gateway four) and three connections beside them, but never all: seven members find room on the private
    // server.
    private const int PoolSize = LocalPostgres.MaxConnections / 7 / 5;

    /// <summary>What the command line says.</summary>
    /// <param name="Silos">How many silos, at least 1.</param>
    /// <param name="Gateways">How many gateways, at least 1.</param>
    /// <param name="Port">Of the first gateway; null is that of <c>ASPNETCORE_URLS</c>.</param>
    /// <param name="Restart">Whether a member that dies is started again.</param>
    /// <param name="DrainDelay">How long a member that is asked to end goes on serving.</param>
    public sealed record Options(int Silos, int Gateways, int? Port, bool Restart, TimeSpan DrainDelay);

    /// <summary>Runs a cluster until a signal, or <c>./bank cluster stop</c>, ends it.</summary>
    public static async Task<ExitCode> RunAsync(HostSettings settings, Options options, IProgress<string> progress, CancellationToken stop)
    {
        var port = options.Port ?? new Uri(settings.Address).Port;
        var last = IPEndPoint.MaxPort + 1 - options.Gateways;
        if (port < 1 || port > last)
            throw new CommandException(
                ExitCode.Failed,
                $"Port {port} cannot be the first of {options.Gateways} gateways: with --port or ASPNETCORE_URLS it is 1 to {last}.");
        progress.Report(
            $"a cluster starts: silos {options.Silos}, gateways {options.Gateways} from port {port} on, data in {settings.DataDirectory}");
        using var taken = await Up.TakeAsync(settings with { Urls = $"http://127.0.0.1:{port}" }, stop);
        for (var gateway = 0; gateway < options.Gateways; gateway++)
            Up.RefusePortInUse($"http://127.0.0.1:{port + gateway}");
        await using var database = await Up.OpenDatabaseAsync(settings, progress, stop);

        var socket = ClusterControl.SocketOf(settings.DataDirectory);
        if (socket.Length > 100)
            throw new CommandException(
                ExitCode.DataDirectoryUnusable, $"The path {socket} is too long for a socket; set BANK_DATA_DIR to a shorter one.");
        File.Delete(socket);

        using var supervisor = new Supervisor(
            database.Local is null
                ? database.App
                : new NpgsqlConnectionStringBuilder(database.App) { MaxPoolSize = PoolSize }.ConnectionString,
            settings.DataDirectory,
            port,
            options.Restart,
            options.DrainDelay,
            TimeProvider.System);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        await using var control = Control(socket, supervisor, database.Local, ended);
        await control.StartAsync(stop);
        File.SetUnixFileMode(socket, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        try
        {
            for (var silo = 0; silo < options.Silos; silo++)
                supervisor.Add(Role.Silo);
            for (var gateway = 0; gateway < options.Gateways; gateway++)
                supervisor.Add(Role.Gateway);
            await ShowAsync(supervisor, database.App, progress, ended.Token);
        }
        finally
        {
            progress.Report("closing: gateways first, then silos");
            await supervisor.StopMembersAsync();
            await control.StopAsync(CancellationToken.None);
            File.Delete(socket);
        }

        return ExitCode.Done;
    }

    /// <summary>Lists the members.</summary>
    public static async Task<ExitCode> StatusAsync(HostSettings settings, bool json, CancellationToken stop)
    {
        var members = await MembersAsync(settings, stop);
        if (json)
            Console.Out.WriteLine(JsonSerializer.Serialize(new { members }, HostSettings.Json));
        else
            foreach (var member in members)
                Console.Out.WriteLine(Sentence(member));
        return ExitCode.Done;
    }

    /// <summary>Does something to one member, or adds one.</summary>
    public static async Task<ExitCode> ActAsync(HostSettings settings, string act, string role, int? index, CancellationToken stop)
    {
        var path = index is null ? $"/members/{role}" : $"/members/{role}/{index}/{act}";
        ClusterControl.RoleOf(role);
        Console.Out.WriteLine(Sentence(
            await ClusterControl.AskAsync<MemberReport>(settings.DataDirectory, HttpMethod.Post, path, stop)));
        return ExitCode.Done;
    }

    /// <summary>Restarts the members one after the other, and tells of each while it happens.</summary>
    public static async Task<ExitCode> RestartAsync(HostSettings settings, CancellationToken stop)
    {
        var restart = ClusterControl.AskAsync<JsonNode>(settings.DataDirectory, HttpMethod.Post, "/restart", stop);
        var seen = new Dictionary<string, string>();
        while (await Task.WhenAny(restart, Task.Delay(Interval, TimeProvider.System, stop)) != restart)
            Tell(await MembersAsync(settings, stop), seen, Console.Out.WriteLine);
        await restart;
        Console.Out.WriteLine("all members are new");
        return ExitCode.Done;
    }

    /// <summary>Ends the cluster, and waits until it has.</summary>
    public static async Task<ExitCode> StopAsync(HostSettings settings, IProgress<string> progress, CancellationToken stop)
    {
        var cluster = await RunningHost.FindAsync(settings.DataDirectory, stop);
        await ClusterControl.AskAsync<JsonNode?>(settings.DataDirectory, HttpMethod.Post, "/stop", stop);
        progress.Report($"stopping the cluster in {settings.DataDirectory}");
        if (cluster is not null)
            await Stop.UntilEndedAsync(settings.DataDirectory, cluster, stop);
        progress.Report("stopped");
        return ExitCode.Done;
    }

    private static Task<MemberReport[]> MembersAsync(HostSettings settings, CancellationToken stop) =>
        ClusterControl.AskAsync<MemberReport[]>(settings.DataDirectory, HttpMethod.Get, "/members", stop);

    private static WebApplication Control(string socket, Supervisor supervisor, LocalPostgres? local, CancellationTokenSource ended)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(server => server.ListenUnixSocket(socket));
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = ShutdownTimeout);
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddHostedService(_ => supervisor);
        if (local is not null)
        {
            builder.Services.AddSingleton(local);
            builder.Services.AddHostedService<PostgresWatch>();
        }

        var app = builder.Build();
        ClusterControl.Map(app, supervisor, ended.Cancel);
        return app;
    }

    private static async Task ShowAsync(Supervisor supervisor, string connectionString, IProgress<string> progress, CancellationToken end)
    {
        await using var journal = NpgsqlDataSource.Create(connectionString);
        using var timer = new PeriodicTimer(Interval, TimeProvider.System);
        var rate = new Rate();
        try
        {
            if (AnsiConsole.Profile.Capabilities.Interactive && !Console.IsOutputRedirected)
                await AnsiConsole.Live(Table(supervisor.Report(), 0)).StartAsync(async live =>
                {
                    while (await timer.WaitForNextTickAsync(end))
                        live.UpdateTarget(Table(supervisor.Report(), await rate.NextAsync(journal, end)));
                });
            var seen = new Dictionary<string, string>();
            var open = false;
            while (await timer.WaitForNextTickAsync(end))
            {
                var members = supervisor.Report();
                Tell(members, seen, progress.Report);
                if (!open && (open = members.All(member => member.State == "ready")))
                    progress.Report($"the cluster is open: {members.First(m => m.Role == "gateway").Address}  (Ctrl-C closes it)");
            }
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            // Asked to close.
        }
    }

    private static void Tell(IEnumerable<MemberReport> members, Dictionary<string, string> seen, Action<string> write)
    {
        foreach (var member in members)
        {
            var name = $"{member.Role} {member.Index}";
            if (seen.GetValueOrDefault(name) == member.State)
                continue;
            seen[name] = member.State;
            write(Sentence(member));
        }
    }

    private static string Sentence(MemberReport member) =>
        $"{member.Role} {member.Index} is {member.State}, "
        + (member.Pid is { } pid ? $"process {pid}, {member.Address}" : $"ended with {member.ExitCode}");

    private static Table Table(IReadOnlyList<MemberReport> members, double rate)
    {
        var caption = $"{rate.ToString("0", CultureInfo.InvariantCulture)} events/s  (Ctrl-C closes the cluster)";
        var table = new Table { Caption = new(caption) };
        foreach (var column in (string[])["member", "state", "process", "address"])
            table.AddColumn(column);
        foreach (var member in members)
            table.AddRow(
                $"{member.Role} {member.Index}",
                member.State switch { "ready" => "[green]ready[/]", "dead" => "[red]dead[/]", var state => $"[yellow]{state}[/]" },
                $"{member.Pid}",
                member.Address);
        return table;
    }

    /// <summary>Events per second between two looks at the journal's head.</summary>
    private sealed class Rate
    {
        private (long Position, long At)? _last;

        public async Task<double> NextAsync(NpgsqlDataSource journal, CancellationToken cancellation)
        {
            try
            {
                await using var command = journal.CreateCommand("SELECT position FROM journal.head");
                var (position, at) = ((long)(await command.ExecuteScalarAsync(cancellation))!, TimeProvider.System.GetTimestamp());
                var rate = _last is { } last
                    ? (position - last.Position) / Math.Max(0.001, TimeProvider.System.GetElapsedTime(last.At, at).TotalSeconds)
                    : 0;
                _last = (position, at);
                return rate;
            }
            catch (NpgsqlException)
            {
                // The table shows that nothing moves.
                _last = null;
                return 0;
            }
        }
    }
}
