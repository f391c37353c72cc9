using System.Reflection;
using Bank.Contracts;
using Bank.Host.Health;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Xunit;

namespace Bank.Host.Tests.Health;

public sealed class JournalAnswersTests
{
    private static readonly Task<ReplyStatus> Silence = new TaskCompletionSource<ReplyStatus>().Task;

    [Fact]
    public async Task One_silo_that_can_append_is_enough_whatever_becomes_of_calls_to_others()
    {
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(key => key == 0 ? Silence : Says(ReplyStatus.Done))).Status);
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(key => key switch
        {
            0 => Silence,
            1 => Task.FromException<ReplyStatus>(new TimeoutException()),
            2 => throw new InvalidOperationException(),
            3 => Says(ReplyStatus.JournalUnavailable),
            4 => Says(ReplyStatus.Overloaded),
            5 => Says(ReplyStatus.Done),
            _ => Silence,
        })).Status);
    }

    [Theory]
    [InlineData(ReplyStatus.JournalUnavailable, ReplyStatus.JournalUnavailable, "the journal cannot be reached")]
    [InlineData(ReplyStatus.Overloaded, ReplyStatus.JournalUnavailable, "the writer's queue is full")]
    [InlineData(ReplyStatus.JournalUnavailable, ReplyStatus.Overloaded, "the writer's queue is full")]
    public async Task Where_none_can_append_it_says_why(ReplyStatus first, ReplyStatus others, string reason)
    {
        var result = await CheckAsync(key => Says(key == 0 ? first : others));
        Assert.Equal((HealthStatus.Unhealthy, reason), (result.Status, result.Description));
    }

    [Fact]
    public async Task Where_nobody_answers_it_says_how_the_calls_ended()
    {
        var result = await CheckAsync(_ => Task.FromException<ReplyStatus>(new TimeoutException("too late")));
        Assert.Equal((HealthStatus.Unhealthy, "no silo answers: too late"), (result.Status, result.Description));
    }

    [Fact]
    public async Task A_silo_that_is_silent_does_not_hide_what_others_say()
    {
        var result = await CheckAsync(key => key == 0 ? Silence : Says(ReplyStatus.Overloaded), TimeSpan.FromMilliseconds(200));
        Assert.Equal((HealthStatus.Unhealthy, "the writer's queue is full"), (result.Status, result.Description));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => CheckAsync(_ => Silence, TimeSpan.FromMilliseconds(200)));
    }

    private static Task<ReplyStatus> Says(ReplyStatus answer) => Task.FromResult(answer);

    private static async Task<HealthCheckResult> CheckAsync(Func<long, Task<ReplyStatus>> ask, TimeSpan? within = null)
    {
        using var timeout = new CancellationTokenSource(within ?? TimeSpan.FromSeconds(10));
        return await new JournalAnswers(Probes.Create(ask)).CheckHealthAsync(new(), timeout.Token);
    }

    /// <summary>The factory, and each grain that it gives.</summary>
    public class Probes : DispatchProxy
    {
        private Func<long, Task<ReplyStatus>> _ask = null!;
        private long _key;

        public static IGrainFactory Create(Func<long, Task<ReplyStatus>> ask) => Create<IGrainFactory>(ask, 0);

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) => targetMethod!.Name == nameof(IJournalProbeGrain.Ask)
            ? _ask(_key)
            : Create<IJournalProbeGrain>(_ask, (long)args![0]!);

        private static T Create<T>(Func<long, Task<ReplyStatus>> ask, long key)
            where T : class
        {
            var proxy = Create<T, Probes>();
            ((Probes)(object)proxy)._ask = ask;
            ((Probes)(object)proxy)._key = key;
            return proxy;
        }
    }
}
