namespace Orleans.EventSourcing.Postgres;

/// <summary>What an intent does when the state that it was decided on is not the journal's.</summary>
internal enum OnConflict
{
    /// <summary>It ends with the conflict.</summary>
    Stop,

    /// <summary>It is decided again, a bounded number of times.</summary>
    DecideAgain,

    /// <summary>It is decided again until it is through: an event that was raised unconditionally.</summary>
    Insist,
}

/// <summary>
/// Something that an activation means to append, or, where it decides on no events, to answer: from its arrival until its one outcome.
/// Used on the grain's scheduler only.
/// </summary>
internal sealed class Intent<TView, TEvent>(Command command, OnConflict onConflict, Func<TView, long, IReadOnlyList<TEvent>> decide)
{
    private readonly TaskCompletionSource<AppendOutcome> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Command Command { get; } = command;

    /// <summary>Its place in the order of arrival.</summary>
    public LinkedListNode<Intent<TView, TEvent>> Place { get; set; } = null!;

    public OnConflict OnConflict { get; } = onConflict;

    /// <summary>Whether the caller gave the command's id, so that the journal may know it already.</summary>
    public bool IsIdentified => Command.Id != Guid.Empty;

    /// <summary>Whether the caller that raised it is still on the stack, so that it hears of a failure itself.</summary>
    public bool IsRaising { get; set; }

    /// <summary>What was decided, in the present epoch; null before that.</summary>
    public IReadOnlyList<TEvent>? Events { get; set; }

    /// <summary>The stream's state after the events, or, where there are none, that on which this was decided.</summary>
    public StreamState After { get; set; }

    /// <summary>The tentative state when it arrived: what the caller of one that is not decided again has decided on.</summary>
    public StreamState Seen { get; set; }

    /// <summary>The epoch in which it was last decided; null before that.</summary>
    public Epoch? Epoch { get; set; }

    /// <summary>
    /// The writer's outcome, until it leaves or is overruled by deciding again. It leaves after those of what was sent before it and, where
    /// the stream has moved, after that was loaded.
    /// </summary>
    public AppendOutcome? Heard { get; set; }

    /// <summary>Conflicts that the journal itself has given.</summary>
    public int Conflicts { get; set; }

    public Task<AppendOutcome> Outcome => _outcome.Task;

    public IReadOnlyList<TEvent> Decide(TView tentative, long version) => decide(tentative, version);

    public void Complete(AppendOutcome outcome) => _outcome.TrySetResult(outcome);

    public void Fail(Exception exception)
    {
        _outcome.TrySetException(exception);
        // Observed: nobody waits for an event that was raised and never confirmed.
        _ = _outcome.Task.Exception;
    }
}
