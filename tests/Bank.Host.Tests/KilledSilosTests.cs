using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Orleans;
using Orleans.Runtime;
using Xunit;

namespace Bank.Host.Tests;

/// <summary>Members of a cluster that are only addresses: at some somebody listens, as the kernel does for a frozen process.</summary>
public sealed class KilledSilosTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Lasting = TimeSpan.FromSeconds(1);

    private readonly Membership _cluster = new();
    private readonly Skipping _time = new();
    private readonly List<Socket> _listening = [];
    private readonly ServiceProvider _services;
    private readonly SiloAddress _itself;
    private readonly KilledSilos _killed;

    public KilledSilosTests()
    {
        _itself = _cluster.Add(Gone(), SiloStatus.Active);
        _services = new ServiceCollection().AddSingleton<IClusterMembershipService>(_cluster).BuildServiceProvider();
        _killed = Of(_time);
    }

    [Fact]
    public async Task When_a_connection_ends_the_silo_whose_port_refuses_is_declared_dead()
    {
        _cluster.Add(Listening(), SiloStatus.Active);
        var killed = _cluster.Add(Gone(), SiloStatus.Active);

        await EndAsync(Lasting);

        Assert.Equal(killed, await DeclaredAsync());
    }

    [Fact]
    public async Task A_connection_that_fails_tells_as_much_and_fails_as_before()
    {
        var killed = _cluster.Add(Gone(), SiloStatus.Active);

        await Assert.ThrowsAsync<ConnectionResetException>(() => EndAsync(Lasting, new ConnectionResetException("reset")));

        Assert.Equal(killed, await DeclaredAsync());
    }

    [Fact]
    public async Task A_connection_as_short_as_a_look_s_own_leads_to_no_look()
    {
        var listening = Listening();
        _cluster.Add(listening, SiloStatus.Active);
        _cluster.Add(Gone(), SiloStatus.Active);
        await EndAsync(TimeSpan.Zero);
        Assert.False(_listening[0].Poll(TimeSpan.FromMilliseconds(300), SelectMode.SelectRead));

        await EndAsync(Lasting);
        Assert.True(_listening[0].Poll(Patience, SelectMode.SelectRead));
    }

    [Fact]
    public async Task A_silo_that_can_reach_none_of_several_others_leaves_them_to_the_probes()
    {
        _cluster.Add(Gone(), SiloStatus.Active);
        _cluster.Add(Gone(), SiloStatus.Active);
        await _killed.LookAsync(joins: false);
        Assert.Empty(_cluster.Dead);

        _cluster.Add(Listening(), SiloStatus.Active);
        await _killed.LookAsync(joins: false);
        Assert.Equal(2, _cluster.Dead.Count);
    }

    [Fact]
    public async Task A_silo_that_joins_declares_the_killed_ones_dead_and_no_other()
    {
        _cluster.Add(Listening(), SiloStatus.Active);
        _cluster.Add(Gone(), SiloStatus.Joining);
        _cluster.Add(Gone(), SiloStatus.Dead);
        SiloAddress[] killed = [_cluster.Add(Gone(), SiloStatus.Active), _cluster.Add(Gone(), SiloStatus.Active)];
        var life = new Life();
        _killed.Participate(life);

        await life.Active!.OnStart(TestContext.Current.CancellationToken);

        Assert.Equal(killed.ToHashSet(), _cluster.Dead.ToHashSet());
    }

    [Fact]
    public async Task A_silo_that_is_back_a_moment_later_is_not_declared_dead()
    {
        var port = Gone();
        _cluster.Add(port, SiloStatus.Active);
        var time = new Pausing(() => _listening.Add(ListenAt(port)));
        var life = new Life();
        Of(time).Participate(life);

        await life.Active!.OnStart(TestContext.Current.CancellationToken);

        Assert.True(time.Paused);
        Assert.Empty(_cluster.Dead);
    }

    [Fact]
    public async Task A_silo_that_cannot_be_declared_dead_is_left_to_the_probes()
    {
        _cluster.Add(Gone(), SiloStatus.Active);
        _cluster.Fails = true;
        var life = new Life();
        _killed.Participate(life);

        await life.Active!.OnStart(TestContext.Current.CancellationToken);

        Assert.True(_cluster.Declared.Task.IsCompleted);
    }

    private KilledSilos Of(TimeProvider time) => new(_services, new Itself(_itself), time, NullLogger<KilledSilos>.Instance);

    public void Dispose()
    {
        foreach (var socket in _listening)
            socket.Dispose();
        _services.Dispose();
    }

    // A connection that lasts so long, by a clock that skips it, and then ends.
    private async Task EndAsync(TimeSpan lasts, Exception? fault = null)
    {
        var connections = new ConnectionBuilder(_services);
        _killed.Watch(connections);
        await connections.Run(_ =>
        {
            _time.Skip(lasts);
            return fault is null ? Task.CompletedTask : Task.FromException(fault);
        }).Build()(new DefaultConnectionContext());
    }

    private Task<SiloAddress> DeclaredAsync() =>
        _cluster.Declared.Task.WaitAsync(Patience, TestContext.Current.CancellationToken);

    private static IPEndPoint Gone()
    {
        using var socket = ListenAt(new(IPAddress.Loopback, 0));
        return (IPEndPoint)socket.LocalEndPoint!;
    }

    private IPEndPoint Listening()
    {
        _listening.Add(ListenAt(new(IPAddress.Loopback, 0)));
        return (IPEndPoint)_listening[^1].LocalEndPoint!;
    }

    private static Socket ListenAt(IPEndPoint address)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(address);
        socket.Listen();
        return socket;
    }

    private sealed class Membership : IClusterMembershipService
    {
        public ClusterMembershipSnapshot CurrentSnapshot { get; private set; } =
            new(ImmutableDictionary<SiloAddress, ClusterMember>.Empty, new(1));

        public IAsyncEnumerable<ClusterMembershipSnapshot> MembershipUpdates => throw new NotSupportedException();

        public List<SiloAddress> Dead { get; } = [];

        public TaskCompletionSource<SiloAddress> Declared { get; } = new();

        public bool Fails { get; set; }

        public SiloAddress Add(IPEndPoint address, SiloStatus status)
        {
            var silo = SiloAddress.New(address, 1);
            CurrentSnapshot = new(
                CurrentSnapshot.Members.SetItem(silo, new(silo, status, "silo")), new(CurrentSnapshot.Version.Value + 1));
            return silo;
        }

        public ValueTask Refresh(MembershipVersion minimumVersion, CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public Task<bool> TryKill(SiloAddress siloAddress)
        {
            lock (Dead)
                Dead.Add(siloAddress);
            Declared.TrySetResult(siloAddress);
            return Fails ? throw new InvalidOperationException("the table cannot be written") : Task.FromResult(true);
        }
    }

    private sealed class Itself(SiloAddress address) : ILocalSiloDetails
    {
        public string Name => "itself";

        public string ClusterId => "test";

        public string DnsHostName => "localhost";

        public SiloAddress SiloAddress => address;

        public SiloAddress GatewayAddress => address;
    }

    private sealed class Life : ISiloLifecycle
    {
        public ILifecycleObserver? Active { get; private set; }

        public int HighestCompletedStage => 0;

        public int LowestStoppedStage => 0;

        public IDisposable Subscribe(string observerName, int stage, ILifecycleObserver observer)
        {
            Assert.Equal(ServiceLifecycleStage.Active, stage);
            Active = observer;
            return new CancellationTokenSource();
        }
    }

    private sealed class Skipping : TimeProvider
    {
        private long _skipped;

        public override long GetTimestamp() => base.GetTimestamp() + _skipped;

        public void Skip(TimeSpan time) => _skipped += (long)(time.TotalSeconds * TimestampFrequency);
    }

    // Does something at the first pause; what bounds a connecting has another length.
    private sealed class Pausing(Action pause) : TimeProvider
    {
        private int _paused;

        public bool Paused => _paused > 0;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            if (dueTime == TimeSpan.FromMilliseconds(100) && Interlocked.Increment(ref _paused) == 1)
                pause();
            return base.CreateTimer(callback, state, dueTime, period);
        }
    }
}
