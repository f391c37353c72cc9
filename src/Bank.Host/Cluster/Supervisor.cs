using System.Net;
using Bank.Host.Postgres;

namespace Bank.Host.Cluster;

/// <summary>Keeps the members of a cluster on this machine: starts them, watches over them, and does to them what it is told.</summary>
internal sealed class Supervisor(
    string appConnectionString,
    string directory,
    int firstPort,
    bool restart,
    TimeSpan drainDelay,
    TimeProvider time) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan HealthTimeout = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan LongestBackOff = TimeSpan.FromSeconds(30);

    private readonly List<Member> _members = [];
    private readonly Dictionary<Member, (int Deaths, DateTimeOffset At)> _deaths = [];
    private readonly HttpClient _client = new(new SocketsHttpHandler { PooledConnectionLifetime = Interval }) { Timeout = HealthTimeout };

    public string LogDirectory { get; } = Path.Combine(directory, "cluster");

    public IReadOnlyList<MemberReport> Report()
    {
        lock (_members)
            return [.. _members.Select(member => member.Report)];
    }

    /// <summary>Adds a member of that role, and starts it.</summary>
    public MemberReport Add(Role role)
    {
        lock (_members)
        {
            var index = _members.Count(member => member.Role == role) + 1;
            var port = role == Role.Gateway ? firstPort + index - 1 : Ports.PreferredOrFree(0);
            if (port > IPEndPoint.MaxPort)
                throw new CommandException(ExitCode.Failed, $"Gateway {index} would have port {port}; {IPEndPoint.MaxPort} is the last.");
            if (role == Role.Gateway && !Ports.IsFree(IPAddress.Loopback, port))
                throw new CommandException(ExitCode.PortInUse, $"Port {port} is in use by another program. Choose others with --port.");
            var address = $"http://127.0.0.1:{port}";
            var environment = new Dictionary<string, string?>
            {
                ["ConnectionStrings__Bank"] = appConnectionString,
                // Who started the cluster may know it; its members need not.
                ["ConnectionStrings__BankOwner"] = null,
                ["ASPNETCORE_URLS"] = address,
                ["BANK_DATA_DIR"] = directory,
                ["BANK_MEMBER"] = $"{(role == Role.Silo ? "silo" : "gateway")}-{index}",
            };
            if (role == Role.Silo)
            {
                environment["Orleans__Endpoints__SiloPort"] = $"{Ports.PreferredOrFree(0)}";
                environment["Orleans__Endpoints__GatewayPort"] = $"{Ports.PreferredOrFree(0)}";
            }

            Directory.CreateDirectory(LogDirectory);
            var member = new Member(
                role, index, address, drainDelay, environment, Path.Combine(LogDirectory, $"{environment["BANK_MEMBER"]}.log"));
            member.Start();
            _members.Add(member);
            return member.Report;
        }
    }

    public Member Find(Role role, int index)
    {
        lock (_members)
            return _members.FirstOrDefault(member => member.Role == role && member.Index == index) ?? throw new CommandException(
                ExitCode.NotRunning, $"There is no {(role == Role.Silo ? "silo" : "gateway")} {index}; ./bank cluster status lists all.");
    }

    /// <summary>Ends and starts each member in turn, the next one only when the last is ready again.</summary>
    public async Task RestartAsync(IProgress<string> progress, CancellationToken cancellation)
    {
        foreach (var member in All())
        {
            cancellation.ThrowIfCancellationRequested();
            progress.Report($"restarting {member.Name}");
            // Whoever asked may be gone before it has ended, and it has to come back all the same.
            await member.StopAsync();
            member.Start();
            while (!member.IsReady)
            {
                if (!member.IsRunning)
                    throw new CommandException(ExitCode.Failed, $"{member.Name} did not come back; see {LogDirectory}.");
                await Task.Delay(Interval, time, cancellation);
            }
        }
    }

    /// <summary>Ends the gateways, which finish what their clients asked for, and then the silos.</summary>
    public async Task StopMembersAsync()
    {
        // Neither the watch over them nor a restart that is under way is to start again what ends here.
        await StopAsync(CancellationToken.None);
        All().ForEach(member => member.Close());
        foreach (var role in (Role[])[Role.Gateway, Role.Silo])
            await Task.WhenAll(All().Where(member => member.Role == role).Select(member => member.StopAsync()));
    }

    public override void Dispose()
    {
        _client.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                await Task.WhenAll(All().Select(member => LookAsync(member, stoppingToken)));
                if (restart)
                    All().Where(member => member.IsLost).ToList().ForEach(StartAgain);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The cluster closes.
        }
    }

    private List<Member> All()
    {
        lock (_members)
            return [.. _members];
    }

    private async Task LookAsync(Member member, CancellationToken cancellation)
    {
        if (!member.IsRunning || member.State == MemberState.Frozen)
        {
            member.IsReady = false;
            return;
        }

        try
        {
            using var answer = await _client.GetAsync(new Uri($"{member.Address}/health/ready"), cancellation);
            member.IsReady = answer.IsSuccessStatusCode;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException && !cancellation.IsCancellationRequested)
        {
            member.IsReady = false;
        }
    }

    // After a second, then later and later: one that dies at each start must not keep the machine busy.
    private void StartAgain(Member member)
    {
        var now = time.GetUtcNow();
        if (!_deaths.TryGetValue(member, out var last) || last.At == default)
        {
            var pause = TimeSpan.FromSeconds(Math.Min(Math.Pow(2, last.Deaths), LongestBackOff.TotalSeconds));
            _deaths[member] = (last.Deaths + 1, now + pause);
            return;
        }

        if (now < last.At)
            return;
        _deaths[member] = (last.Deaths, default);
        member.Start();
    }
}
