using Orleans.Storage;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// A journaled grain that appends on exact outcomes. Mark a class that takes commands <c>[Reentrant]</c>: it then decides many of them
/// on its tentative state while a write is in flight, and all of them share the next batch.
/// </summary>
/// <typeparam name="TView">What the events are folded into. Cheapest where it is <see cref="IForkable{TView}"/>.</typeparam>
/// <typeparam name="TEvent">The base of the stream's events.</typeparam>
public abstract class PostgresJournaledGrain<TView, TEvent> : JournaledGrain<TView, TEvent>, IPostgresJournalHost<TView, TEvent>
    where TView : class, new()
    where TEvent : class
{
    private PostgresLogViewAdaptor<TView, TEvent> _adaptor = null!;

    /// <summary>The stream's id, as the journal has it.</summary>
    protected string StreamId => _adaptor.StreamId;

    /// <summary>Position of the last confirmed event; 0 where there is none.</summary>
    protected Position LastPosition => _adaptor.Confirmed.LastPosition;

    /// <summary>When the first confirmed event was recorded; meaningless at version 0.</summary>
    protected DateTimeOffset FirstRecordedAt => _adaptor.Confirmed.FirstRecordedAt;

    /// <summary>When the last confirmed event was recorded; meaningless at version 0.</summary>
    protected DateTimeOffset LastRecordedAt => _adaptor.Confirmed.LastRecordedAt;

    /// <summary>The stream is loaded before this is called; nothing more is read.</summary>
    public override Task OnActivateAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Appends what was decided on <see cref="JournaledGrain{TView, TEvent}.TentativeState"/>.</summary>
    /// <param name="command">Its id becomes that of the first event.</param>
    /// <param name="events">At least one.</param>
    /// <returns>
    /// When the outcome is durable. A <see cref="AppendOutcome.Conflict"/> is the caller's to decide again; the state is loaded by then, or
    /// the next call waits for it.
    /// </returns>
    protected Task<AppendOutcome> AppendAsync(Command command, params IReadOnlyList<TEvent> events)
    {
        ArgumentOutOfRangeException.ThrowIfZero(events.Count);
        return _adaptor.AppendAsync(command, events);
    }

    /// <summary>
    /// Decides on the tentative state, appends what was decided, and decides again, in order of arrival, when that state was not the
    /// journal's. Where nothing is to be appended, the journal confirms the state and is asked for the command before the outcome leaves:
    /// <see cref="AppendOutcome.Confirmed"/> then means that the last decision stands.
    /// </summary>
    /// <param name="command">Without an id, none is looked for: a read.</param>
    /// <param name="decide">
    /// From the tentative view and its version to events, or to none. It may be called several times; the last call is the one that counts.
    /// It must not await, and must not change the view.
    /// </param>
    protected Task<AppendOutcome> ExecuteAsync(Command command, Func<TView, long, IReadOnlyList<TEvent>> decide) =>
        _adaptor.ExecuteAsync(command, decide);

    /// <summary>The event that was recorded, as an object.</summary>
    protected TEvent Decode(RecordedEvent recorded) => _adaptor.Decode(recorded);

    /// <summary>The view before the first event.</summary>
    protected virtual TView CreateView() => new();

    /// <summary>Folds an event of a command into a view; unless overridden, by <c>TransitionState</c>.</summary>
    protected virtual void TransitionState(TView state, TEvent @event, Guid commandId) => TransitionState(state, @event);

    /// <inheritdoc/>
    protected override void InstallAdaptor(
        ILogViewAdaptorFactory factory,
        object initialState,
        string graintypename,
        IGrainStorage? grainStorage,
        ILogConsistencyProtocolServices services) =>
        base.InstallAdaptor(new Keeping(factory, this), initialState, graintypename, grainStorage, services);

    TView IPostgresJournalHost<TView, TEvent>.CreateView() => CreateView();

    void IPostgresJournalHost<TView, TEvent>.Fold(TView view, TEvent @event, Guid commandId) => TransitionState(view, @event, commandId);

    // JournaledGrain keeps the adaptor to itself, so the factory that it is given hands it over on the way.
    private sealed class Keeping(ILogViewAdaptorFactory factory, PostgresJournaledGrain<TView, TEvent> grain) : ILogViewAdaptorFactory
    {
        public bool UsesStorageProvider => factory.UsesStorageProvider;

        public ILogViewAdaptor<TLogView, TLogEntry> MakeLogViewAdaptor<TLogView, TLogEntry>(
            ILogViewAdaptorHost<TLogView, TLogEntry> hostGrain,
            TLogView initialState,
            string grainTypeName,
            IGrainStorage? grainStorage,
            ILogConsistencyProtocolServices services)
            where TLogView : class, new()
            where TLogEntry : class
        {
            var made = factory.MakeLogViewAdaptor(hostGrain, initialState, grainTypeName, grainStorage, services);
            grain._adaptor = made as PostgresLogViewAdaptor<TView, TEvent> ?? throw new InvalidOperationException(
                $"{grain.GetType()} needs the PostgreSQL journal: add siloBuilder.AddPostgresJournal(...), "
                + "and name no other provider on the class.");
            return made;
        }
    }
}
