using System.Diagnostics;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// An append or a question on its way to an answer. Two answer it, the writer's loop and the clock: whoever moves it to
/// <see cref="Answered"/> has the right to.
/// </summary>
/// <param name="streamId">The stream that it is about.</param>
/// <param name="lane">The lane that it waits in; it may change from normal to priority while it waits.</param>
/// <param name="weight">What it takes of a batch: its events; 1 for a question.</param>
/// <param name="bytes">What it takes of a batch, roughly.</param>
/// <param name="deadline">When its budget ends, as a time stamp of the writer's clock.</param>
internal abstract class Pending(string streamId, Lane lane, int weight, long bytes, long deadline)
{
    private const int Waiting = 0, InCall = 1, Answered = 2;
    private int _state;
    private bool _maybeWritten;

    public string StreamId => streamId;

    public Lane Lane { get; set; } = lane;

    public int Weight => weight;

    public long Bytes => bytes;

    public long Deadline => deadline;

    /// <summary>What it was handed over in, if that is being traced.</summary>
    public ActivityContext Trace { get; } = Activity.Current is { Recorded: true } current ? current.Context : default;

    public bool IsAnswered => Volatile.Read(ref _state) == Answered;

    /// <summary>An earlier call that carried it was lost, and no later one has come back.</summary>
    public bool MaybeWritten => Volatile.Read(ref _maybeWritten);

    /// <summary>Claims it for a call that is about to leave; false where the clock has answered it.</summary>
    public bool TryBeginCall() => Interlocked.CompareExchange(ref _state, InCall, Waiting) == Waiting;

    /// <summary>The call has failed: it waits for the next one.</summary>
    public void EndCall(bool ambiguous)
    {
        // Before the state: who sees it waiting must see this too.
        if (ambiguous)
            Volatile.Write(ref _maybeWritten, true);
        Interlocked.CompareExchange(ref _state, Waiting, InCall);
    }

    /// <summary>The queue had no room for it in time.</summary>
    public abstract void Overload();

    /// <summary>Its budget has ended, or the writer has.</summary>
    public abstract void GiveUp();

    /// <summary>The right to answer it; <paramref name="maybeWritten"/> tells what is known of it at that moment.</summary>
    protected bool TryAnswer(out bool maybeWritten)
    {
        var before = Interlocked.Exchange(ref _state, Answered);
        maybeWritten = before == InCall || MaybeWritten;
        return before != Answered;
    }
}

/// <inheritdoc/>
internal sealed class PendingAppend(Append append, long bytes, long started, long budget, JournalMetrics metrics)
    : Pending(append.StreamId, append.Lane, append.Events.Count, bytes, started + budget)
{
    // Continuations must not run inside the writer's loop, nor under a lock of its queue.
    private readonly TaskCompletionSource<AppendOutcome> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Append Append => append;

    public Task<AppendOutcome> Outcome => _outcome.Task;

    public void Answer(AppendOutcome outcome)
    {
        if (TryAnswer(out _))
            Set(outcome);
    }

    public override void Overload() => Answer(AppendOutcome.Overloaded.Instance);

    public override void GiveUp()
    {
        if (TryAnswer(out var maybeWritten))
            Set(maybeWritten ? AppendOutcome.Unknown.Instance : AppendOutcome.Unavailable.Instance);
    }

    private void Set(AppendOutcome outcome)
    {
        // The epoch first: whoever hears of the outcome finds it ended.
        if (!outcome.KeepsEpoch)
            append.Epoch.End(outcome);
        _outcome.SetResult(outcome);
        metrics.Appended(outcome, started);
    }
}

/// <inheritdoc/>
internal sealed class PendingQuestion(Question question, long deadline)
    : Pending(question.StreamId, Lane.Normal, weight: 1, bytes: 200, deadline)
{
    private readonly TaskCompletionSource<Answer> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Question Question => question;

    public Task<Answer> Reply => _answer.Task;

    public void Answer(Answer answer)
    {
        if (TryAnswer(out _))
            _answer.SetResult(answer);
    }

    public override void Overload() => Answer(Postgres.Answer.Overloaded.Instance);

    public override void GiveUp() => Answer(Postgres.Answer.Unavailable.Instance);
}
