namespace Orleans.EventSourcing.Postgres;

/// <summary>Keeps silos that were declared dead from writing: one may be only frozen, and wake up in the middle of an append.</summary>
public interface ISiloFences
{
    /// <summary>Of a process that shares its streams with no other.</summary>
    static ISiloFences None { get; } = new NoFences();

    /// <summary>Waits until every silo that is dead in this one's view is fenced.</summary>
    /// <exception cref="JournalUnavailableException">It cannot be fenced at present.</exception>
    Task WaitAsync(CancellationToken cancellation);

    /// <summary>Told once when the journal says that this silo itself is fenced.</summary>
    void OnFenced();

    private sealed class NoFences : ISiloFences
    {
        public Task WaitAsync(CancellationToken cancellation) => Task.CompletedTask;

        public void OnFenced() { }
    }
}
