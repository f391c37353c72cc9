using Orleans.EventSourcing.Postgres;
using Orleans.Runtime;
using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>What is believed of a grain that is asked again because the first call to it was lost.</summary>
public sealed class PatienceTests
{
    private readonly Patience _patience = new(null!, new(), TimeProvider.System);

    [Fact]
    public async Task Nothing_is_known_of_a_command_whose_call_was_lost_and_whose_grain_cannot_be_loaded_then()
    {
        await Assert.ThrowsAsync<TimeoutException>(() => _patience.For(Asks(Lost, Unavailable), isDone: reply => reply == "done"));

        // Without a call that was lost, nothing was recorded.
        await Assert.ThrowsAsync<JournalUnavailableException>(() => _patience.For(Asks(Unavailable), isDone: reply => reply == "done"));
        // A question does nothing, however often it is asked.
        await Assert.ThrowsAsync<JournalUnavailableException>(() => _patience.For(Asks(Lost, Unavailable)));
    }

    [Fact]
    public async Task After_a_call_that_was_lost_only_a_success_is_believed()
    {
        Assert.Equal("done", await _patience.For(Asks(Lost, Lost, () => "done"), isDone: reply => reply == "done"));
        await Assert.ThrowsAsync<TimeoutException>(() => _patience.For(Asks(Lost, () => "refused"), isDone: reply => reply == "done"));
        Assert.Equal("refused", await _patience.For(Asks(() => "refused"), isDone: reply => reply == "done"));
        Assert.Equal("read", await _patience.For(Asks(Lost, () => "read")));
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
