using Orleans.EventSourcing.Postgres;
using Orleans.Runtime;
using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>What is believed of several calls for one command, some of which may have been lost on their way.</summary>
public sealed class PatienceTests : IDisposable
{
    private readonly SiloLosses _losses = new(new NoTimers());
    private readonly Standstill _standstill = new(TimeProvider.System);
    private readonly List<TaskCompletionSource<string>> _calls = [];
    private readonly List<DateTimeOffset> _sent = [];

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
    public async Task A_refusal_of_the_latest_call_is_believed_whatever_became_of_those_before()
    {
        var answer = Ask();
        _losses.Announce();
        await CalledAsync(2);
        _calls[1].SetResult("refused");
        Assert.Equal("refused", await answer);
        Assert.True(_sent[0] < _sent[1], "who refuses knows which calls are older by when they say that they were sent");
    }

    [Fact]
    public async Task A_refusal_of_an_earlier_call_is_not_believed_while_a_later_one_may_be_done()
    {
        var answer = Ask();
        _losses.Announce();
        await CalledAsync(2);
        _calls[0].SetResult("refused");
        _calls[1].SetException(new SiloUnavailableException());
        await CalledAsync(3);
        _calls[2].SetResult("done");
        Assert.Equal("done", await answer);
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
    public async Task Where_the_latest_of_several_calls_has_neither_done_nor_refused_it_nothing_is_known()
    {
        var answer = Ask();
        _losses.Announce();
        await CalledAsync(2);
        _calls[1].SetResult("perhaps");
        await Assert.ThrowsAsync<TimeoutException>(() => answer);
        Assert.Equal("perhaps", await Patient().For(Commands(() => "perhaps"), IsDone));
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
        await Assert.ThrowsAsync<TimeoutException>(() => Patient().For(Commands(Lost, Unavailable), IsDone));

        // Without a call that was lost, nothing was recorded.
        await Assert.ThrowsAsync<JournalUnavailableException>(() => Patient().For(Commands(Unavailable), IsDone));
        // A question does nothing, however often it is asked.
        await Assert.ThrowsAsync<JournalUnavailableException>(() => Patient().For(Asks(Unavailable)));
    }

    [Fact]
    public async Task A_call_that_was_lost_is_made_again_until_one_is_answered()
    {
        Assert.Equal("done", await Patient().For(Commands(Lost, Lost, () => "done"), IsDone));
        Assert.Equal("refused", await Patient().For(Commands(Lost, () => "refused"), IsDone));
        Assert.Equal("read", await Patient().For(Asks(Lost, () => "read")));
    }

    public void Dispose()
    {
        _losses.Dispose();
        _standstill.Dispose();
    }

    private Patience Patient(TimeSpan? within = null) =>
        new(null!, _losses, _standstill, new() { AnswerWithin = within ?? TimeSpan.FromSeconds(60) }, TimeProvider.System);

    private Task<string> Ask(TimeSpan? within = null) => Patient(within).For(
        sentAt =>
        {
            lock (_calls)
            {
                _calls.Add(new(TaskCreationOptions.RunContinuationsAsynchronously));
                _sent.Add(sentAt);
                return _calls[^1].Task;
            }
        },
        IsDone);

    private static bool? IsDone(string reply) => reply == "perhaps" ? null : reply == "done";

    private static Func<DateTimeOffset, Task<string>> Commands(params Func<string>[] answers)
    {
        var ask = Asks(answers);
        return _ => ask();
    }

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
