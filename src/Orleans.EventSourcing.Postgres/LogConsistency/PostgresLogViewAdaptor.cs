using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Orleans.Runtime;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// The log view of one activation. Everything that it appends or answers is an <see cref="Intent{TView, TEvent}"/>, decided in order of
/// arrival on the tentative view, within an <see cref="Epoch"/>. When an epoch ends, the view goes back to what is confirmed (or is loaded
/// again), and what has not ended is decided again in the same order. All members run on the grain's scheduler, one at a time between two
/// awaits.
/// </summary>
internal sealed class PostgresLogViewAdaptor<TView, TEvent>(
    ILogViewAdaptorHost<TView, TEvent> host,
    string streamId,
    JournalStreamAttribute stream,
    PostgresLogConsistency shared,
    ILogConsistencyProtocolServices services) : ILogViewAdaptor<TView, TEvent>
    where TView : class, new()
    where TEvent : class
{
    private const int PageSize = 1000;
    private static readonly bool Forkable = typeof(IForkable<TView>).IsAssignableFrom(typeof(TView));

    private readonly IJournal _journal = shared.Journal;

    // In order of arrival: what has not left. Of these, _sent is with the writer, also where its epoch has ended.
    private readonly LinkedList<Intent<TView, TEvent>> _intents = [];
    private readonly Queue<Intent<TView, TEvent>> _sent = [];
    private readonly Dictionary<Guid, Intent<TView, TEvent>> _byCommand = [];

    private StreamFold<TView> _confirmed = null!;
    private TView? _tentative;
    private StreamState _tentativeState;
    private Epoch _epoch = new();
    // The version up to which events were not appended but found, in this epoch: somebody may have recorded them long before.
    private long _found;
    private bool _lasts;
    private bool _open;
    private bool _mustLoad;
    // Version 0 is what is expected: nobody has looked.
    private bool _unread;
    private bool _mustAsk;
    private bool _recovering;
    private Exception? _fault;
    private JournalConnectionIssue? _issue;
    private LogConsistencyStatistics? _statistics;

    /// <summary>Where the confirmed view stands in the journal.</summary>
    public StreamFold<TView> Confirmed => _confirmed;

    public string StreamId => streamId;

    // Asked for when there is a snapshot to read or to make: short streams never do, and what their views lack is of no interest.
    private ViewCodec<TView>? Codec => shared.CodecOf<TView>();

    public TView ConfirmedView => _confirmed.View;

    public int ConfirmedVersion => checked((int)_confirmed.State.Version);

    public TView TentativeView => _tentative ?? _confirmed.View;

    public IEnumerable<TEvent> UnconfirmedSuffix => _intents.Where(i => i.Events is not null).SelectMany(i => i.Events!);

    public Task PreOnActivate()
    {
        if (!stream.ExpectNew)
            return OpenAsync();
        _confirmed = new(CreateView());
        _tentative = Forkable ? null : CreateView();
        _unread = true;
        BeginEpoch();
        return Task.CompletedTask;
    }

    public Task PostOnActivate() => Task.CompletedTask;

    /// <summary>Waits for what is in flight: its outcome is somebody's answer. The writer's budget bounds the wait.</summary>
    public async Task PostOnDeactivate()
    {
        while (_intents.First is { } next)
            await EndOfAsync(next.Value);
    }

    public void Submit(TEvent entry) => SubmitRange([entry]);

    public void SubmitRange(IEnumerable<TEvent> entries)
    {
        ThrowIfFaulted();
        var events = entries.ToList();
        if (events.Count == 0)
            return;
        var intent = new Intent<TView, TEvent>(shared.NewCommand(), OnConflict.Insist, (_, _) => events)
        {
            Events = events,
            IsRaising = true,
        };
        Enter(intent);
        intent.IsRaising = false;
        // Where the fold refuses the event, the caller that raised it is the one to know.
        if (intent.Outcome.IsFaulted)
            intent.Outcome.GetAwaiter().GetResult();
    }

    public Task<bool> TryAppend(TEvent entry) => TryAppendRange([entry]);

    public async Task<bool> TryAppendRange(IEnumerable<TEvent> entries)
    {
        ThrowIfFaulted();
        var events = entries.ToList();
        return events.Count == 0 || await AppendAsync(shared.NewCommand(), events) switch
        {
            AppendOutcome.Appended or AppendOutcome.AlreadyAppended => true,
            AppendOutcome.Conflict => false,
            var failed => throw ToException(failed),
        };
    }

    public async Task ConfirmSubmittedEntries()
    {
        var raised = _intents.Where(i => i.OnConflict == OnConflict.Insist).Select(i => i.Outcome).ToList();
        foreach (var outcome in raised)
            await outcome;
        ThrowIfFaulted();
    }

    /// <summary>
    /// Asks the journal behind everything that was submitted, and loads again if the stream has moved on without this view.
    /// </summary>
    public async Task Synchronize()
    {
        await ConfirmSubmittedEntries();
        var outcome = await ExecuteAsync(default, static (_, _) => []);
        if (outcome is not AppendOutcome.Confirmed)
            throw ToException(outcome);
    }

    public async Task<IReadOnlyList<TEvent>> RetrieveLogSegment(int fromVersion, int toVersion)
    {
        var segment = new List<TEvent>(toVersion - fromVersion);
        while (fromVersion + segment.Count < toVersion)
        {
            var left = toVersion - fromVersion - segment.Count;
            var page = await _journal.ReadStreamAsync(
                streamId, fromVersion + segment.Count + 1, Math.Min(left, PageSize), CancellationToken.None);
            if (page.Count == 0)
                throw new InvalidOperationException($"{streamId} ends before version {toVersion}: the journal was restored or cleared.");
            segment.AddRange(page.Select(Decode));
        }

        return segment;
    }

    public async Task ClearLogAsync(CancellationToken cancellationToken)
    {
        await ConfirmSubmittedEntries();
        await _journal.ClearAsync(streamId, cancellationToken);
        Close(mustLoad: true);
        await Synchronize();
    }

    /// <summary>Appends what was decided on the tentative view; a conflict is the caller's.</summary>
    public Task<AppendOutcome> AppendAsync(Command command, IReadOnlyList<TEvent> events) =>
        EnterOnceAsync(command, OnConflict.Stop, (_, _) => events);

    /// <summary>Decides, appends what was decided (or confirms that there is nothing to append), and decides again where it must.</summary>
    public Task<AppendOutcome> ExecuteAsync(Command command, Func<TView, long, IReadOnlyList<TEvent>> decide) =>
        EnterOnceAsync(command, OnConflict.DecideAgain, decide);

    public void EnableStatsCollection() => _statistics = new() { EventCounters = [], StabilizationLatenciesInMsecs = [] };

    public void DisableStatsCollection() => _statistics = null;

    public LogConsistencyStatistics? GetStats() => _statistics;

    private Task<AppendOutcome> EnterOnceAsync(
        Command command, OnConflict onConflict, Func<TView, long, IReadOnlyList<TEvent>> decide)
    {
        var intent = new Intent<TView, TEvent>(command, onConflict, decide) { Seen = _tentativeState };
        if (_byCommand.ContainsKey(command.Id))
            return EnterAfterFirstAsync(intent);
        Enter(intent);
        return intent.Outcome;
    }

    // A duplicate of a command in flight awaits the first one's outcome, whatever its own body, and is judged then.
    private async Task<AppendOutcome> EnterAfterFirstAsync(Intent<TView, TEvent> intent)
    {
        while (_byCommand.TryGetValue(intent.Command.Id, out var first))
            await EndOfAsync(first);
        Enter(intent);
        return await intent.Outcome;
    }

    private void Enter(Intent<TView, TEvent> intent)
    {
        intent.Place = _intents.AddLast(intent);
        if (intent.IsIdentified)
            _byCommand.Add(intent.Command.Id, intent);
        if (_open)
            Dispatch(intent);
        else
            RecoverWhenAnswered();
    }

    private void Leave(Intent<TView, TEvent> intent)
    {
        _intents.Remove(intent.Place);
        if (intent.IsIdentified)
            _byCommand.Remove(intent.Command.Id);
    }

    private void Finish(Intent<TView, TEvent> intent, AppendOutcome outcome)
    {
        Leave(intent);
        Count(outcome);
        if (intent.OnConflict == OnConflict.Insist && outcome is not (AppendOutcome.Appended or AppendOutcome.AlreadyAppended))
            Lose(intent, ToException(outcome));
        else
            intent.Complete(outcome);
    }

    private void Fail(Intent<TView, TEvent> intent, Exception exception)
    {
        Leave(intent);
        if (intent is { OnConflict: OnConflict.Insist, IsRaising: false })
            Lose(intent, exception);
        else
            intent.Fail(exception);
    }

    // An event that was raised without a condition has no caller waiting for it: who confirms must hear that it is lost, each time, and
    // the next activation starts from what is recorded.
    private void Lose(Intent<TView, TEvent> intent, Exception exception)
    {
        _fault ??= exception;
        intent.Fail(exception);
        Deactivate(exception);
    }

    private void Dispatch(Intent<TView, TEvent> intent)
    {
        IReadOnlyList<TEvent> events;
        NewEvent[] encoded;
        var expected = _tentativeState;
        intent.Epoch = _epoch;
        try
        {
            events = IsUnseen(intent, expected) ? [] : intent.Decide(TentativeView, expected.Version);
            encoded = events.Count == 0 ? [] : shared.Encode(intent.Command, events);
        }
        catch (Exception e)
        {
            Fail(intent, e);
            return;
        }

        if (events.Count == 0)
        {
            intent.Events = null;
            intent.After = expected;
            _ = AwaitAnswerAsync(intent, _epoch);
            return;
        }

        // Folded before it is appended: an event that cannot be folded must never be recorded.
        try
        {
            if (Forkable)
                _tentative ??= ((IForkable<TView>)_confirmed.View).Fork();
            foreach (var e in events)
                Fold(_tentative!, e, intent.Command.Id);
        }
        catch (Exception e)
        {
            // The tentative view may hold half of it. What is in flight was decided before and stands.
            (_tentative, _tentativeState) = (null, _confirmed.State);
            Fail(intent, e);
            Close(mustLoad: !Forkable);
            RecoverWhenAnswered();
            return;
        }

        var append = new Append(streamId, expected, encoded, _epoch, intent.Command.Lane);
        intent.Events = events;
        intent.After = _tentativeState = append.After;
        _sent.Enqueue(intent);
        _ = AwaitOutcomeAsync(intent, append);
        Notify(tentative: true, confirmed: false);
    }

    private async Task AwaitOutcomeAsync(Intent<TView, TEvent> intent, Append append)
    {
        AppendOutcome outcome;
        try
        {
            // Never within the turn that has raised the events, however quick the journal is: what a turn sees does not change under it.
            outcome = await _journal.AppendAsync(append).AsTask().ConfigureAwait(
                ConfigureAwaitOptions.ForceYielding | ConfigureAwaitOptions.ContinueOnCapturedContext);
        }
        catch (Exception e)
        {
            services.CaughtException(nameof(IJournal.AppendAsync), e);
            outcome = AppendOutcome.Unknown.Instance;
        }

        intent.Heard = outcome;
        // The writer answers in order, but each answer comes its own way here: one that is early waits for those before it.
        while (_sent.TryPeek(out var next) && next.Heard is { } heard)
        {
            _sent.Dequeue();
            // What was there already, as it was decided, tells nothing of what lies behind it where nobody has looked.
            if (_lasts && heard.KeepsEpoch && !(_unread && heard is AppendOutcome.AlreadyAppended))
                Confirm(next, heard);
            else
                End(next, heard);
        }

        RecoverWhenAnswered();
    }

    private void Confirm(Intent<TView, TEvent> intent, AppendOutcome outcome)
    {
        var (position, recordedAt) = outcome switch
        {
            AppendOutcome.Appended appended => (appended.LastPosition, appended.RecordedAt),
            AppendOutcome.AlreadyAppended { Recorded: [.., var last] } => (last.Position, last.RecordedAt),
            _ => throw new System.Diagnostics.UnreachableException(outcome.ToString()),
        };
        try
        {
            if (Forkable && _sent.Count == 0 && _open)
                (_confirmed.View, _tentative) = (_tentative!, null);
            else
                foreach (var e in intent.Events!)
                    Fold(_confirmed.View, e, intent.Command.Id);
        }
        catch (Exception e)
        {
            // It is recorded, and did fold into the tentative view: the journal decides what becomes of this one.
            services.CaughtUserCodeException("TransitionState", nameof(Confirm), e);
            End(intent, outcome);
            return;
        }

        _unread = false;
        var before = _confirmed.State.Version;
        _confirmed.Advance(intent.After, position, recordedAt);
        if (outcome is AppendOutcome.AlreadyAppended)
            _found = intent.After.Version;
        if (before / shared.SnapshotEvery != intent.After.Version / shared.SnapshotEvery)
            SaveSnapshot();
        Resolved();
        Finish(intent, outcome);
        Notify(tentative: false, confirmed: true);
    }

    private void End(Intent<TView, TEvent> intent, AppendOutcome outcome)
    {
        EndEpoch(outcome);
        Close(mustLoad: outcome switch
        {
            // Certainly nothing was written, so the confirmed view stands.
            AppendOutcome.Invalid or AppendOutcome.Overloaded or AppendOutcome.Unavailable => !Forkable,
            // What lies below the confirmed version was part of it already, or the next append will find out.
            AppendOutcome.AlreadyAppended { Recorded: [.., var last] } => !Forkable || IsAhead(last),
            AppendOutcome.IdReused { Recorded: [.., var last] } => !Forkable || IsAhead(last),
            _ => true,
        });
        switch (outcome)
        {
            case AppendOutcome.Conflict conflict when intent.OnConflict != OnConflict.Stop:
                intent.Heard = null;
                if (conflict.ActualVersion >= 0 && intent.OnConflict == OnConflict.DecideAgain)
                    CountConflict(intent, conflict);
                break;
            case AppendOutcome.Unknown:
                // Only the answer to a later call tells that the lost one can no longer land.
                _mustAsk = true;
                Report();
                Finish(intent, outcome);
                break;
            case AppendOutcome.Unavailable:
                Report();
                Finish(intent, outcome);
                break;
            case AppendOutcome.Invalid or AppendOutcome.Overloaded:
                Finish(intent, outcome);
                break;
            default:
                // It leaves when the stream has been loaded, so that whoever hears of it finds a state that agrees with it.
                break;
        }
    }

    private void EndEpoch(AppendOutcome outcome)
    {
        _epoch.End(outcome);
        _lasts = false;
    }

    private bool IsAhead(RecordedEvent last) => last.StreamId == streamId && last.Version > _confirmed.State.Version;

    private void CountConflict(Intent<TView, TEvent> intent, AppendOutcome.Conflict conflict)
    {
        if (++intent.Conflicts > shared.MaxConflicts)
            Finish(intent, conflict);
    }

    private async Task AwaitAnswerAsync(Intent<TView, TEvent> intent, Epoch epoch)
    {
        Answer answer;
        do
        {
            try
            {
                answer = await _journal.AskAsync(new(streamId, intent.IsIdentified ? intent.Command.Id : null));
            }
            catch (Exception e)
            {
                services.CaughtException(nameof(IJournal.AskAsync), e);
                answer = Answer.Unavailable.Instance;
            }

            // Decided in an epoch that has ended: it was, or will be, decided again in the next one.
            if (epoch != _epoch || !_open)
                return;
        }
        // Answered before the events that it stands on were committed: a later call knows.
        while (answer is Answer.Confirmed { Recorded: [] } early && early.Last.Version < intent.After.Version && IsOwn(early.Last));

        switch (answer)
        {
            case Answer.Overloaded:
                Finish(intent, AppendOutcome.Overloaded.Instance);
                break;
            case Answer.Unavailable:
                Report();
                Finish(intent, AppendOutcome.Unavailable.Instance);
                break;
            case Answer.Confirmed confirmed:
                Resolved();
                AppendOutcome? found = confirmed.Recorded is not [var first, ..] ? null
                    : first.StreamId == streamId && EventMetadata.HasHash(first, intent.Command.Hash.Span)
                        ? new AppendOutcome.AlreadyAppended(confirmed.Recorded, Exact: false)
                        : new AppendOutcome.IdReused(confirmed.Recorded);
                if (IsOwn(confirmed.Last))
                {
                    // Committed, but perhaps its outcome is still on the way: the confirmed view must not be older than the answer.
                    if (_sent.FirstOrDefault(sent => sent.After == confirmed.Last) is { } last)
                        await EndOfAsync(last);
                    if (epoch != _epoch || !_open)
                        return;
                    // What stands above the state that it was decided on was found there, so it may have been acknowledged, by another
                    // activation, before this was even asked for.
                    if (found is null && intent.After.Version < _found)
                        Dispatch(intent);
                    else if (found is null && IsUnseen(intent, intent.After))
                        Finish(intent, AppendOutcome.Conflict.Felled);
                    else
                        Finish(intent, found ?? new AppendOutcome.Confirmed(confirmed.Head));
                }
                else
                {
                    // Stale: another activation has written here. Nothing that was decided on this view may leave.
                    EndEpoch(new AppendOutcome.Conflict(confirmed.Last.Version));
                    Close(mustLoad: true);
                    if (found is null)
                        CountConflict(intent, new(confirmed.Last.Version));
                    else
                        intent.Heard = found;
                    RecoverWhenAnswered();
                }

                break;
        }
    }

    // Its epoch ended, or it waited for another, since its caller decided: nobody has checked it against this state. Whether it was done
    // before is asked all the same.
    private static bool IsUnseen(Intent<TView, TEvent> intent, StreamState state) =>
        intent.OnConflict == OnConflict.Stop && intent.Seen != state;

    private bool IsOwn(StreamState last) => last == _confirmed.State || _sent.Any(sent => sent.After == last);

    private static ConfiguredTaskAwaitable EndOfAsync(Intent<TView, TEvent> intent) => ((Task)intent.Outcome).ConfigureAwait(
        ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);

    private void Close(bool mustLoad)
    {
        _open = false;
        _mustLoad |= mustLoad;
    }

    private void RecoverWhenAnswered()
    {
        if (!_open && !_recovering && _sent.Count == 0)
            _ = RecoverAsync();
    }

    // Opens the next epoch and decides in it whatever has no outcome yet. Where that fails, so does whatever waits for it, and the next
    // intent tries again.
    private async Task RecoverAsync()
    {
        _recovering = true;
        try
        {
            while (!_open && _sent.Count == 0)
            {
                await OpenAsync();
                foreach (var intent in _intents.ToList())
                {
                    // What a handler of OnStateChanged has raised meanwhile is decided already.
                    if (intent.Epoch == _epoch)
                        continue;
                    if (intent.Heard is { } heard)
                        Finish(intent, heard);
                    else if (_open)
                        Dispatch(intent);
                }
            }
        }
        catch (JournalUnavailableException)
        {
            Report();
            foreach (var intent in _intents.ToList())
                Finish(intent, intent.Heard ?? AppendOutcome.Unavailable.Instance);
        }
        catch (Exception e)
        {
            foreach (var intent in _intents.ToList())
                if (intent.Heard is { } heard)
                    Finish(intent, heard);
                else
                    Fail(intent, e);
            Deactivate(e);
        }
        finally
        {
            _recovering = false;
        }
    }

    private async Task OpenAsync()
    {
        if (_mustAsk)
        {
            if (await _journal.AskAsync(new(streamId, null)) is not Answer.Confirmed)
                throw new JournalUnavailableException();
            _mustAsk = false;
        }

        var moved = false;
        if (_confirmed is null || _mustLoad)
        {
            var before = _confirmed?.State;
            (_confirmed, _tentative) = await LoadAsync();
            _mustLoad = _unread = false;
            moved = before is not null && before != _confirmed.State;
            Resolved();
        }
        else
        {
            _tentative = null;
        }

        foreach (var intent in _intents)
            intent.Events = intent.OnConflict == OnConflict.Insist ? intent.Events : null;
        BeginEpoch();
        if (moved)
            Notify(tentative: true, confirmed: true);
    }

    private void BeginEpoch()
    {
        _tentativeState = _confirmed.State;
        _epoch = new();
        _found = 0;
        _lasts = _open = true;
    }

    private async Task<(StreamFold<TView> Confirmed, TView? Tentative)> LoadAsync()
    {
        var loaded = await _journal.LoadAsync(streamId, stream.FoldVersion, PageSize, CancellationToken.None);
        var page = loaded.Events;
        StreamFold<TView>? fold = null;
        TView? twin = null;
        if (loaded is { Snapshot: { } snapshot, SnapshotEvent: { } at } && Codec is { } codec)
        {
            try
            {
                fold = StreamFold<TView>.FromSnapshot(snapshot, at, codec);
                twin = Forkable ? null : StreamFold<TView>.FromSnapshot(snapshot, at, codec).View;
            }
            catch (Exception e)
            {
                services.CaughtException($"the snapshot of {streamId} at version {snapshot.State.Version}, replaying instead", e);
                fold = null;
            }
        }

        if (fold is null)
        {
            fold = new(CreateView());
            twin = Forkable ? null : CreateView();
            if (loaded.Snapshot is not null)
                page = await _journal.ReadStreamAsync(streamId, 1, PageSize, CancellationToken.None);
        }

        while (true)
        {
            foreach (var recorded in page)
                Replay(fold, twin, recorded);
            if (page.Count < PageSize)
                return (fold, twin);
            page = await _journal.ReadStreamAsync(streamId, fold.State.Version + 1, PageSize, CancellationToken.None);
        }
    }

    private void Replay(StreamFold<TView> fold, TView? twin, RecordedEvent recorded)
    {
        if (recorded.Version != fold.State.Version + 1)
            throw new InvalidOperationException(
                $"{streamId} has version {recorded.Version} after version {fold.State.Version}: the journal is damaged.");
        try
        {
            var @event = Decode(recorded);
            var commandId = EventMetadata.CommandIdOf(recorded);
            Fold(fold.View, @event, commandId);
            if (twin is not null)
                Fold(twin, @event, commandId);
        }
        catch (Exception e)
        {
            throw new InvalidOperationException(
                $"{streamId} cannot be loaded: version {recorded.Version}, a {recorded.EventType}, does not fold: {e.Message}", e);
        }

        fold.Advance(new(recorded.Version, recorded.EventId), recorded.Position, recorded.RecordedAt);
    }

    public TEvent Decode(RecordedEvent recorded) => (TEvent)shared.Events.Decode(recorded);

    private TView CreateView() => host is IPostgresJournalHost<TView, TEvent> grain ? grain.CreateView() : new();

    private void Fold(TView view, TEvent @event, Guid commandId)
    {
        if (host is IPostgresJournalHost<TView, TEvent> grain)
            grain.Fold(view, @event, commandId);
        else
            host.UpdateView(view, @event);
    }

    private void SaveSnapshot()
    {
        if (Codec is not { } codec)
            return;
        try
        {
            _journal.Save(new(streamId, _confirmed.State, stream.FoldVersion, _confirmed.ToSnapshot(codec)));
        }
        catch (Exception e)
        {
            // A snapshot is never needed: the stream replays. Callers wait for what comes after this.
            services.CaughtException($"writing a snapshot of {streamId}", e);
        }
    }

    private void Notify(bool tentative, bool confirmed)
    {
        try
        {
            host.OnViewChanged(tentative, confirmed);
        }
        catch (Exception e)
        {
            services.CaughtUserCodeException("OnViewChanged", nameof(Notify), e);
        }
    }

    private void Report()
    {
        _issue = shared.NextIssue(_issue);
        try
        {
            host.OnConnectionIssue(_issue);
        }
        catch (Exception e)
        {
            services.CaughtUserCodeException("OnConnectionIssue", nameof(Report), e);
        }
    }

    private void Resolved()
    {
        if (_issue is not { } issue)
            return;
        _issue = null;
        try
        {
            host.OnConnectionIssueResolved(issue);
        }
        catch (Exception e)
        {
            services.CaughtUserCodeException("OnConnectionIssueResolved", nameof(Resolved), e);
        }
    }

    private void Deactivate(Exception cause)
    {
        services.Log(LogLevel.Error, "leaves memory, and the next call loads it again: {0}", cause.Message);
        if (host is IGrainBase grain)
            grain.GrainContext.Deactivate(new(DeactivationReasonCode.ApplicationError, cause, "its journal could not be followed"));
    }

    private void ThrowIfFaulted()
    {
        if (_fault is { } fault)
            throw new InvalidOperationException("An event that was raised earlier is not recorded: " + fault.Message, fault);
    }

    private void Count(AppendOutcome outcome)
    {
        if (_statistics is not { EventCounters: { } counters })
            return;
        var name = outcome.GetType().Name;
        counters[name] = counters.GetValueOrDefault(name) + 1;
    }

    private static Exception ToException(AppendOutcome outcome) => outcome switch
    {
        AppendOutcome.Unknown => new JournalOutcomeUnknownException(),
        AppendOutcome.Invalid invalid => new InvalidOperationException("PostgreSQL refuses the event: " + invalid.Reason),
        AppendOutcome.Overloaded => new JournalUnavailableException("The journal's queue is full."),
        AppendOutcome.Unavailable => new JournalUnavailableException(),
        AppendOutcome.IdReused => new InvalidOperationException("The event's id belongs to another event."),
        _ => new JournalUnavailableException("The stream moved on each time that it was read."),
    };
}
