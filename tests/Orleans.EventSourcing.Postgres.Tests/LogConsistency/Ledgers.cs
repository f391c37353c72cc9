using Orleans.Runtime;
using Orleans.Runtime.Placement;

namespace Orleans.EventSourcing.Postgres.Tests.LogConsistency;

/// <summary>Everything that Orleans documents of a journaled grain, within reach of a test.</summary>
public interface ILedger : IGrainWithStringKey
{
    /// <summary>RaiseEvent(s) and ConfirmEvents.</summary>
    Task<Sheet> Add(int[] amounts);

    /// <summary>RaiseConditionalEvent(s).</summary>
    Task<bool> AddIf(int[] amounts);

    /// <summary>RaiseEvent: what can be seen before ConfirmEvents, and after.</summary>
    Task<Sheet[]> AddInSlowMotion(int amount);

    /// <summary>RaiseEvent, ConfirmEvents, and ConfirmEvents again, with what each of the three threw.</summary>
    Task<string[]> AddAndConfirmTwice(int amount);

    Task<Sheet> Look();

    /// <summary>RefreshNow.</summary>
    Task<Sheet> Refresh();

    /// <summary>RetrieveConfirmedEvents.</summary>
    Task<int[]> Segment(int from, int to);

    /// <summary>ClearLogAsync.</summary>
    Task<Sheet> Clear();

    /// <summary>What OnStateChanged and the connection issues told, since the last call.</summary>
    Task<string[]> Told();

    Task<SiloAddress> Where();

    /// <summary>Leaves memory.</summary>
    Task Leave();

    /// <summary>Goes to another silo, which loads it anew.</summary>
    Task Move(SiloAddress to);
}

/// <summary>What a ledger shows.</summary>
[GenerateSerializer, Alias("test.Sheet")]
public sealed record Sheet([property: Id(0)] long Sum, [property: Id(1)] int Count, [property: Id(2)] int Version);

public interface ILedgerView
{
    long Sum { get; }

    int Count { get; }
}

public abstract class Ledger<TView, TEvent>(ILocalSiloDetails silo) : JournaledGrain<TView, TEvent>, ILedger
    where TView : class, ILedgerView, new()
    where TEvent : class
{
    private readonly List<string> _told = [];

    private Sheet Confirmed => new(State.Sum, State.Count, Version);

    private Sheet Tentative => new(TentativeState.Sum, TentativeState.Count, UnconfirmedEvents.Count());

    public async Task<Sheet> Add(int[] amounts)
    {
        if (amounts is [var one])
            RaiseEvent(Make(one));
        else
            RaiseEvents(amounts.Select(Make));
        await ConfirmEvents();
        return Confirmed;
    }

    public Task<bool> AddIf(int[] amounts) =>
        amounts is [var one] ? RaiseConditionalEvent(Make(one)) : RaiseConditionalEvents(amounts.Select(Make));

    public async Task<Sheet[]> AddInSlowMotion(int amount)
    {
        RaiseEvent(Make(amount));
        var (confirmed, tentative) = (Confirmed, Tentative);
        await ConfirmEvents();
        return [confirmed, tentative, Confirmed, Tentative];
    }

    public async Task<string[]> AddAndConfirmTwice(int amount) =>
    [
        await Thrown(() =>
        {
            RaiseEvent(Make(amount));
            return Task.CompletedTask;
        }),
        await Thrown(ConfirmEvents),
        await Thrown(ConfirmEvents),
    ];

    public Task<Sheet> Look() => Task.FromResult(Confirmed);

    public async Task<Sheet> Refresh()
    {
        await RefreshNow();
        return Confirmed;
    }

    public async Task<int[]> Segment(int from, int to) => [.. (await RetrieveConfirmedEvents(from, to)).Select(AmountOf)];

    public async Task<Sheet> Clear()
    {
        await ClearLogAsync(CancellationToken.None);
        return Confirmed;
    }

    public Task<string[]> Told()
    {
        string[] told = [.. _told];
        _told.Clear();
        return Task.FromResult(told);
    }

    public Task<SiloAddress> Where() => Task.FromResult(silo.SiloAddress);

    public Task Leave()
    {
        DeactivateOnIdle();
        return Task.CompletedTask;
    }

    public Task Move(SiloAddress to)
    {
        RequestContext.Set(IPlacementDirector.PlacementHintKey, to);
        MigrateOnIdle();
        return Task.CompletedTask;
    }

    protected abstract TEvent Make(int amount);

    protected abstract int AmountOf(TEvent @event);

    protected override void OnStateChanged() => _told.Add($"{Version}: {State.Sum}, {TentativeState.Sum}");

    protected override void OnConnectionIssue(ConnectionIssue issue)
    {
        _told.Add($"issue {issue.NumberOfConsecutiveFailures}");
        throw new InvalidOperationException("A handler's fault must cost no caller its answer.");
    }

    protected override void OnConnectionIssueResolved(ConnectionIssue issue)
    {
        _told.Add("resolved");
        throw new InvalidOperationException("A handler's fault must cost no caller its answer.");
    }

    protected static int Fold(ILedgerEvent @event) =>
        @event is Poisoned ? throw new InvalidOperationException("poison") : @event.Amount;

    private static async Task<string> Thrown(Func<Task> what)
    {
        try
        {
            await what();
            return "";
        }
        catch (Exception e)
        {
            return e.GetType().Name;
        }
    }
}

// ---- a view that forks, events behind an interface

public sealed class ForkingView : ILedgerView, IForkable<ForkingView>
{
    public long Sum { get; set; }

    public int Count { get; set; }

    public ForkingView Fork() => new() { Sum = Sum, Count = Count };
}

public interface IForkingLedger : ILedger;

[JournalStream("forking")]
public sealed class ForkingLedger(ILocalSiloDetails silo) : Ledger<ForkingView, ILedgerEvent>(silo), IForkingLedger
{
    protected override ILedgerEvent Make(int amount) => amount < 0 ? new Debited(-amount) : new Credited(amount);

    protected override int AmountOf(ILedgerEvent @event) => @event.Amount;

    protected override void TransitionState(ForkingView state, ILedgerEvent @event) =>
        (state.Sum, state.Count) = (state.Sum + Fold(@event), state.Count + 1);
}

// ---- a view and events that only Orleans serialises

[GenerateSerializer, Alias("test.OrleansView")]
public sealed class OrleansView : ILedgerView
{
    [Id(0)]
    private long _sum;

    [Id(1)]
    private int _count;

    public long Sum => _sum;

    public int Count => _count;

    public void Add(int amount) => (_sum, _count) = (_sum + amount, _count + 1);
}

public interface IOrleansLedger : ILedger;

[JournalStream("orleans")]
public sealed class OrleansLedger(ILocalSiloDetails silo) : Ledger<OrleansView, Marked>(silo), IOrleansLedger
{
    protected override Marked Make(int amount) => new(amount);

    protected override int AmountOf(Marked @event) => Marked.AmountOf(@event);

    protected override void TransitionState(OrleansView state, Marked @event) => state.Add(Marked.AmountOf(@event));
}

// ---- a view that JSON writes, events of any type at all, folded by the view's own Apply

public sealed class JsonView : ILedgerView
{
    public long Sum { get; set; }

    public int Count { get; set; }

    public void Apply(Credited credited) => (Sum, Count) = (Sum + credited.Amount, Count + 1);

    public void Apply(Debited debited) => (Sum, Count) = (Sum - debited.Taken, Count + 1);
}

public interface IJsonLedger : ILedger;

[JournalStream("json")]
public sealed class JsonLedger(ILocalSiloDetails silo) : Ledger<JsonView, object>(silo), IJsonLedger
{
    protected override object Make(int amount) => amount < 0 ? new Debited(-amount) : new Credited(amount);

    protected override int AmountOf(object @event) => ((ILedgerEvent)@event).Amount;
}

/// <summary>The same streams, folded by later code: this one counts in cents.</summary>
public interface IRefoldedLedger : ILedger;

[JournalStream("json", FoldVersion = 2)]
public sealed class RefoldedLedger(ILocalSiloDetails silo) : Ledger<JsonView, object>(silo), IRefoldedLedger
{
    protected override object Make(int amount) => new Credited(amount);

    protected override int AmountOf(object @event) => ((ILedgerEvent)@event).Amount;

    protected override void TransitionState(JsonView state, object @event) =>
        (state.Sum, state.Count) = (state.Sum + 100 * Fold((ILedgerEvent)@event), state.Count + 1);
}

// ---- a view that nobody serialises: no attributes, nothing public to write

public sealed class ClosedView : ILedgerView
{
    private readonly Dictionary<int, int> _amounts = [];

    public long Sum => _amounts.Values.Sum(amount => (long)amount);

    public int Count => _amounts.Count;

    public void Add(int amount) => _amounts.Add(_amounts.Count, amount);
}

public interface IClosedLedger : ILedger;

[JournalStream("closed")]
public sealed class ClosedLedger(ILocalSiloDetails silo) : Ledger<ClosedView, ILedgerEvent>(silo), IClosedLedger
{
    protected override ILedgerEvent Make(int amount) => amount < 0 ? new Debited(-amount) : new Credited(amount);

    protected override int AmountOf(ILedgerEvent @event) => @event.Amount;

    protected override void TransitionState(ClosedView state, ILedgerEvent @event) => state.Add(Fold(@event));
}
