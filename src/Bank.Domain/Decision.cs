namespace Bank.Domain;

/// <summary>What a decider answers. A refusal is a value: nothing is thrown for an expected no.</summary>
public abstract record Decision<TEvent, TRefusal>
{
    private Decision() { }

    /// <summary>The command happens if these events are recorded, all of them, on the state that it was decided on.</summary>
    public sealed record Accepted(IReadOnlyList<TEvent> Events) : Decision<TEvent, TRefusal>;

    /// <summary>The command does not happen, and nothing is recorded.</summary>
    public sealed record Refused(TRefusal Refusal) : Decision<TEvent, TRefusal>;

    /// <summary>
    /// A command of this id has happened. Whether it was the same one is to be seen from the recorded event: see <see cref="CommandHash"/>.
    /// </summary>
    public sealed record AlreadyDone : Decision<TEvent, TRefusal>;

    public static implicit operator Decision<TEvent, TRefusal>(TEvent @event) => new Accepted([@event]);

    public static implicit operator Decision<TEvent, TRefusal>(TRefusal refusal) => new Refused(refusal);
}
