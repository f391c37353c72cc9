using Orleans.EventSourcing.Postgres;
using Orleans.Runtime;
using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>What is believed of several calls for one command, some of which may have been lost on their way.</summary>
public sealed class PatienceTests : IDisposable
{
    private readonly SiloLosses _losses = new(new NoTimers());
    private readonly List<TaskCompletionSource<string>> _calls = [];

    [Fact]
    public async Task A_call_that_waits_is_made_again_when_a_silo_is_lost_and_the_first_success_is_the_answer()
    {
        var answer = Ask();
        Assert.Single(_calls);
        _losses.Announce();
        await CalledAsync(2);
        _losses.Announce();
        await CalledAsync(3);
        _calls[1].SetResult("done");
        Assert.Equal("done", await answer);
    }

    [Fact]
    public async Task A_refusal_is_not_believed_while_an_earlier_call_may_still_be_done()
    {
        var answer = Ask();
        _losses.Announce();
        await CalledAsync(2);
        _calls[1].SetResult("refused");
        await Assert.ThrowsAsync<TimeoutException>(() => answer);
    }

    [Fact]
    public async Task A_success_is_believed_after_another_call_was_refused()
    {
        var answer = Ask();
        _losses.Announce();
        await CalledAsync(2);
        _calls[0].SetResult("refused");
        _calls[1].SetResult("done");
        Assert.Equal("done", await answer);
    }

    [Fact]
    public async Task A_refusal_of_every_call_is_believed()
    {
        var answer = Ask();
        _losses.Announce();
        await CalledAsync(2);
        _calls[1].SetResult("refused");
        _calls[0].SetResult("refused");
        Assert.Equal("refused", await answer);
    }

    [Fact]
    public async Task After_a_reply_that_it_may_have_happened_no_other_reply_is_believed_that_it_did_not()
    {
        var answer = Ask();
        _losses.Announce();
        await CalledAsync(2);
        _calls[0].SetResult("perhaps");
        _calls[1].SetResult("refused");
        await Assert.ThrowsAsync<TimeoutException>(() => answer);
    }

    [Fact]
    public async Task A_call_that_was_lost_is_made_again_though_nobody_has_answered_an_earlier_one()
    {
        var answer = Ask();
        _losses.Announce();
        await CalledAsync(2);
        _calls[1].SetException(new SiloUnavailableException());
        await CalledAsync(3);
        _calls[2].SetResult("done");
        Assert.Equal("done", await answer);
    }

    [Fact]
    public async Task What_nobody_answers_ends_when_patience_does()
    {
        var answer = Ask(TimeSpan.FromMilliseconds(50));
        await Assert.ThrowsAsync<TimeoutException>(() => answer);
        Assert.Single(_calls);
    }

    [Fact]
    public async Task Nothing_is_known_of_a_command_whose_call_was_lost_and_whose_grain_cannot_be_loaded_then()
    {
        await Assert.ThrowsAsync<TimeoutException>(() => Patient().For(Asks(Lost, Unavailable), isDone: reply => reply == "done"));

        // Without a call that was lost, nothing was recorded.
        await Assert.ThrowsAsync<JournalUnavailableException>(() => Patient().For(Asks(Unavailable), isDone: reply => reply == "done"));
        // A question does nothing, however often it is asked.
        await Assert.ThrowsAsync<JournalUnavailableException>(() => Patient().For(Asks(Lost, Unavailable)));
    }

    [Fact]
    public async Task After_a_call_that_was_lost_only_a_success_is_believed()
    {
        Assert.Equal("done", await Patient().For(Asks(Lost, Lost, () => "done"), isDone: reply => reply == "done"));
        await Assert.ThrowsAsync<TimeoutException>(() => Patient().For(Asks(Lost, () => "refused"), isDone: reply => reply == "done"));
        Assert.Equal("refused", await Patient().For(Asks(() => "refused"), isDone: reply => reply == "done"));
        Assert.Equal("read", await Patient().For(Asks(Lost, () => "read")));
    }

    public void Dispose() => _losses.Dispose();

    private Patience Patient(TimeSpan? within = null) =>
        new(null!, _losses, new() { AnswerWithin = within ?? TimeSpan.FromSeconds(60) }, TimeProvider.System);

    private Task<string> Ask(TimeSpan? within = null) => Patient(within).For(
        () =>
        {
            lock (_calls)
                _calls.Add(new(TaskCreationOptions.RunContinuationsAsynchronously));
            return _calls[^1].Task;
        },
        reply => reply == "perhaps" ? null : reply == "done");

    private Task CalledAsync(int calls) => Testing.Eventually.UntilAsync($"it has been asked {calls} times", () => _calls.Count >= calls);

    // The news is told when a test says so, and not again by itself.
    private sealed class NoTimers : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            base.CreateTimer(callback, state, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    private static string Lost() => throw new SiloUnavailableException("gone");

    private static string Unavailable() => throw new JournalUnavailableException();

    private static Func<Task<string>> Asks(params Func<string>[] answers)
    {
        var next = 0;
        return async () =>
        {
            await Task.Yield();
            return answers[next++]();
        };
    }
}
