using Orleans.Concurrency;
using Orleans.Runtime;

namespace Orleans.EventSourcing.Postgres.Tests.LogConsistency;

/// <summary>A rule to break: there is never less than nothing in a purse. Each method answers with the outcome's name.</summary>
public interface IPurse : IGrainWithStringKey
{
    /// <summary>ExecuteAsync: decided again where it must be.</summary>
    Task<PurseReply> Put(Guid command, int amount);

    /// <summary>ExecuteAsync; nothing is appended where there is too little.</summary>
    Task<PurseReply> Take(Guid command, int amount);

    /// <summary>AppendAsync of what is decided on the tentative state when the call comes.</summary>
    Task<PurseReply> TakeNow(Guid command, int amount);

    /// <summary>RaiseConditionalEvent of what is decided in the same way.</summary>
    Task<PurseReply> TakeConditionally(int amount);

    /// <summary>ExecuteAsync of nothing: a confirmed read.</summary>
    Task<PurseReply> Read();

    /// <summary>An event that no view folds, by ExecuteAsync.</summary>
    Task<PurseReply> Poison(Guid command);

    /// <summary>How many of the calls above this activation has begun.</summary>
    Task<int> Entered();

    /// <summary>Leaves memory.</summary>
    Task Leave();
}

/// <summary>An outcome, and the confirmed state that its hearer found.</summary>
[GenerateSerializer, Alias("test.PurseReply")]
public sealed record PurseReply(
    [property: Id(0)] string Outcome, [property: Id(1)] long Balance, [property: Id(2)] int Version, [property: Id(3)] long Head = 0);

[Reentrant]
[JournalStream("purse")]
public class Purse : PostgresJournaledGrain<ForkingView, ILedgerEvent>, IPurse
{
    private int _entered;

    public Task<PurseReply> Put(Guid command, int amount) =>
        ReplyAsync(ExecuteAsync(new(command, Hash(amount)), (_, _) => [new Credited(amount)]));

    public Task<PurseReply> Take(Guid command, int amount) => ReplyAsync(ExecuteAsync(
        new(command, Hash(-amount)), (view, _) => view.Sum >= amount ? [new Debited(amount)] : []));

    public Task<PurseReply> TakeNow(Guid command, int amount) => TentativeState.Sum >= amount
        ? ReplyAsync(AppendAsync(new(command, Hash(-amount)), new Debited(amount)))
        : Task.FromResult(new PurseReply("Refused", State.Sum, Version));

    public async Task<PurseReply> TakeConditionally(int amount)
    {
        _entered++;
        return TentativeState.Sum >= amount
            ? new((await RaiseConditionalEvent(new Debited(amount))).ToString(), State.Sum, Version)
            : new("Refused", State.Sum, Version);
    }

    public Task<PurseReply> Read() => ReplyAsync(ExecuteAsync(default, static (_, _) => []));

    public Task<PurseReply> Poison(Guid command) => ReplyAsync(ExecuteAsync(new(command), static (_, _) => [new Poisoned(1)]));

    public Task<int> Entered() => Task.FromResult(_entered);

    public Task Leave()
    {
        DeactivateOnIdle();
        return Task.CompletedTask;
    }

    protected override void TransitionState(ForkingView state, ILedgerEvent @event) =>
        (state.Sum, state.Count) = (
            state.Sum + (@event is Poisoned ? throw new InvalidOperationException("poison") : @event.Amount), state.Count + 1);

    private static byte[] Hash(int amount) => BitConverter.GetBytes(amount);

    private async Task<PurseReply> ReplyAsync(Task<AppendOutcome> executing)
    {
        _entered++;
        var outcome = await executing;
        return new(
            outcome.GetType().Name,
            State.Sum,
            Version,
            outcome is AppendOutcome.Confirmed confirmed ? Math.Max(confirmed.Head.Value, LastPosition.Value) : 0);
    }
}

/// <summary>A purse that is hardly ever there when it is asked for.</summary>
public interface INewPurse : IPurse;

[Reentrant]
[JournalStream("new_purse", ExpectNew = true)]
public sealed class NewPurse : Purse, INewPurse;
