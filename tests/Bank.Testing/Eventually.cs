using System.Diagnostics;

namespace Bank.Testing;

/// <summary>Waits for a state instead of a duration, and says what it waited for and what it saw.</summary>
public static class Eventually
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(20);

    /// <summary>Polls until the probe says yes.</summary>
    /// <param name="what">What is waited for, as a clause: "the account has 3 events".</param>
    /// <param name="probe">Whether it has come, and what was seen, for the message. What it throws counts as not yet.</param>
    /// <param name="deadline">How long at most; 10 seconds by default.</param>
    public static async Task UntilAsync(
        string what, Func<Task<(bool Reached, object? Seen)>> probe, TimeSpan? deadline = null)
    {
        var limit = deadline ?? TimeSpan.FromSeconds(10);
        var clock = Stopwatch.StartNew();
        while (true)
        {
            (bool Reached, object? Seen) last;
            try
            {
                last = await probe();
            }
            catch (Exception e)
            {
                last = (false, e);
            }

            if (last.Reached)
                return;
            if (clock.Elapsed > limit)
                throw new TimeoutException($"Waited {limit.TotalSeconds:0.#} s until {what}; last seen: {last.Seen ?? "nothing"}");
            await Task.Delay(PollInterval);
        }
    }

    /// <summary>Polls a value until it is as wanted, and returns it.</summary>
    public static async Task<T> UntilAsync<T>(
        string what, Func<Task<T>> read, Func<T, bool> reached, TimeSpan? deadline = null)
    {
        T value = default!;
        await UntilAsync(
            what,
            async () =>
            {
                value = await read();
                return (reached(value), value);
            },
            deadline);
        return value;
    }

    /// <summary>Polls a condition that has nothing to show.</summary>
    public static Task UntilAsync(string what, Func<bool> probe, TimeSpan? deadline = null) =>
        UntilAsync(what, () => Task.FromResult((probe(), (object?)"the condition is false")), deadline);
}
