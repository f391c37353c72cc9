using Bank.Gateway.Problems;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>A process that was stopped for a while, by a clock that goes on meanwhile.</summary>
public sealed class StandstillTests : IDisposable
{
    private readonly Clock _clock = new();
    private readonly Standstill _standstill;

    public StandstillTests() => _standstill = new(_clock);

    [Fact]
    public void A_process_that_runs_has_not_stood_still()
    {
        Assert.False(_standstill.HasJustEnded);
        for (var i = 0; i < 10; i++)
        {
            _clock.Passes(1.9, ticks: true);
            Assert.False(_standstill.HasJustEnded);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_standstill_is_noticed_by_whoever_comes_first_and_for_a_second_after(bool looksBeforeTheTimer)
    {
        _clock.Passes(2.1, ticks: !looksBeforeTheTimer);
        Assert.True(_standstill.HasJustEnded);
        _clock.Passes(0.5, ticks: true);
        Assert.True(_standstill.HasJustEnded);
        _clock.Passes(1, ticks: true);
        Assert.False(_standstill.HasJustEnded);
    }

    [Fact]
    public void A_machine_that_slept_tells_it_by_the_clock_on_the_wall()
    {
        _clock.Sleeps(2.1);
        Assert.True(_standstill.HasJustEnded);
        _clock.Passes(0.1, ticks: true);
        Assert.True(_standstill.HasJustEnded);
        _clock.Passes(1, ticks: true);
        Assert.False(_standstill.HasJustEnded);
    }

    [Fact]
    public async Task No_command_is_let_in_after_a_standstill()
    {
        var admission = new Admission(new(), _standstill);
        Assert.True(await IsLetInAsync());
        _clock.Passes(2.1, ticks: false);
        Assert.False(await IsLetInAsync());
        _clock.Passes(0.1, ticks: true);
        _clock.Passes(1, ticks: true);
        Assert.True(await IsLetInAsync());

        async Task<bool> IsLetInAsync()
        {
            var isLetIn = false;
            var http = new DefaultHttpContext { Request = { Method = "POST", Path = "/api/v1/accounts/1/deposit" } };
            await admission.InvokeAsync(http, _ =>
            {
                isLetIn = true;
                return Task.CompletedTask;
            });
            Assert.Equal(isLetIn ? 200 : 503, http.Response.StatusCode);
            return isLetIn;
        }
    }

    [Fact]
    public async Task A_gateway_is_not_ready_after_a_standstill()
    {
        Assert.Equal(HealthStatus.Healthy, (await _standstill.CheckHealthAsync(new(), TestContext.Current.CancellationToken)).Status);
        _clock.Passes(2.1, ticks: false);
        Assert.Equal(HealthStatus.Unhealthy, (await _standstill.CheckHealthAsync(new(), TestContext.Current.CancellationToken)).Status);
    }

    [Fact]
    public async Task A_command_that_was_let_in_before_a_standstill_is_not_asked_for_after_it()
    {
        using var losses = new SiloLosses(TimeProvider.System);
        var patience = new Patience(null!, losses, _standstill, new(), TimeProvider.System);
        _clock.Passes(2.1, ticks: false);
        var refused = await Assert.ThrowsAsync<RequestRefusedException>(() => patience.For(_ => Task.FromResult(true), _ => true));
        Assert.Equal(ProblemCode.Overloaded, refused.Problem.Code);
    }

    [Fact]
    public async Task A_command_that_waits_is_not_asked_for_again_after_a_standstill()
    {
        using var losses = new SiloLosses(TimeProvider.System);
        var patience = new Patience(null!, losses, _standstill, new(), TimeProvider.System);
        var asked = 0;
        var answer = patience.For(
            _ =>
            {
                asked++;
                return new TaskCompletionSource<bool>().Task;
            },
            _ => true);
        _clock.Passes(2.1, ticks: false);
        losses.Announce();
        await Assert.ThrowsAsync<TimeoutException>(() => answer);
        Assert.Equal(1, asked);
    }

    public void Dispose() => _standstill.Dispose();

    /// <summary>In milliseconds; its timer ticks when it is told to.</summary>
    private sealed class Clock : TimeProvider
    {
        private long _now;
        private DateTimeOffset _utc = DateTimeOffset.UnixEpoch;
        private Action _tick = () => { };

        public override long TimestampFrequency => 1_000;

        public override long GetTimestamp() => _now;

        public override DateTimeOffset GetUtcNow() => _utc;

        public void Sleeps(double seconds) => _utc += TimeSpan.FromSeconds(seconds);

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            _tick = () => callback(state);
            return System.CreateTimer(callback, state, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }

        public void Passes(double seconds, bool ticks)
        {
            _now += (long)(seconds * TimestampFrequency);
            Sleeps(seconds);
            if (ticks)
                _tick();
        }
    }
}
