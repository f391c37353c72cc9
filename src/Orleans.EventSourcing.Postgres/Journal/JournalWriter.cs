using System.Diagnostics;
using System.Text;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// Gathers the appends and questions of a silo: one loop, one call, one transaction in flight, and whatever was handed over meanwhile, or
/// soon after where other silos append as well, is the next batch. A call that was lost is made again with the next attempt's number, which
/// shuts the lost one out, and the same ids, by which the journal knows what is written already.
/// </summary>
internal sealed class JournalWriter : IAsyncDisposable
{
    private static readonly TimeSpan SweepInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan FirstBackOff = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestBackOff = TimeSpan.FromSeconds(1);
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly string _silo;
    private readonly NpgsqlDataSource _database;
    private readonly HeadWatch _headWatch;
    private readonly PostgresJournalOptions _options;
    private readonly JournalMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly LastKnown _known;
    private readonly Action _onFenced;
    private readonly AppendQueue _queue;
    private readonly ITimer _sweep;
    private readonly long _budget;
    private readonly Task _loop;

    // Of attempts that were lost since the last call came back.
    private readonly List<Backend> _left = [];
    private IReadOnlyList<Pending> _inFlight = [];
    private AppendConnection? _connection;
    private long _attempt;
    private bool _fenced;

    // Of the last call that came back: where the journal ended then, and how long the next batch gathers.
    private Position _head;
    private TimeSpan _gather;

    /// <param name="silo">Cluster and address of the silo, with its generation.</param>
    /// <param name="database">Unpooled, without command time-out.</param>
    /// <param name="headWatch">Frees the head.</param>
    /// <param name="options">Bounds and budgets.</param>
    /// <param name="metrics">Told of calls and outcomes.</param>
    /// <param name="time">The clock of all of them.</param>
    /// <param name="log">Told of what goes wrong.</param>
    /// <param name="known">What the journal must have; told of what is appended.</param>
    /// <param name="onFenced">Called once when this silo may not write any more: fenced, or the journal was restored under it.</param>
    public JournalWriter(
        string silo, NpgsqlDataSource database, HeadWatch headWatch, PostgresJournalOptions options, JournalMetrics metrics,
        TimeProvider time, ILogger log, LastKnown known, Action onFenced)
    {
        (_silo, _database, _headWatch, _options, _metrics, _time, _log, _known, _onFenced) =
            (silo, database, headWatch, options, metrics, time, log, known, onFenced);
        _budget = time.ToTimestamp(options.WriteBudget);
        _queue = new(options.QueueEvents, options.QueueBytes, options.QueueWait, time);
        metrics.ObserveQueue(() => _queue.Length);
        _sweep = time.CreateTimer(static writer => ((JournalWriter)writer!).Sweep(), this, Timeout.InfiniteTimeSpan, SweepInterval);
        // Its own thread: a reply that waited for one of the pool's would wait behind all that the outcomes before it have set going.
        _loop = Task.Factory.StartNew(Run, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <summary>See <see cref="IJournal.AppendAsync"/>.</summary>
    /// <remarks>
    /// The task is the one that the writer completes, with no step between: an activation relies on hearing outcomes and answers in the
    /// order in which the writer has them, and another hop through the thread pool would shuffle them.
    /// </remarks>
    public ValueTask<AppendOutcome> AppendAsync(Append append)
    {
        var pending = new PendingAppend(append, SizeOf(append.Events), _time.GetTimestamp(), _budget, _metrics);
        if (Flaw(pending) is { } reason)
            pending.Answer(new AppendOutcome.Invalid(reason));
        else if (!_queue.Offer(pending))
            pending.GiveUp();
        return new(pending.Outcome);
    }

    /// <summary>See <see cref="IJournal.AskAsync"/>.</summary>
    public ValueTask<Answer> AskAsync(Question question)
    {
        if (Unstorable(question.StreamId, 200) is { } reason)
            throw new ArgumentException(reason, nameof(question));
        var pending = new PendingQuestion(question, _time.GetTimestamp() + _budget);
        return _queue.Offer(pending) ? new(pending.Reply) : new(Answer.Unavailable.Instance);
    }

    /// <summary>Answers what has been handed over, within the budget, and closes the connection.</summary>
    public async ValueTask DisposeAsync()
    {
        _queue.Close();
        await _loop;
        await _sweep.DisposeAsync();
        _connection?.Dispose();
    }

    private void Run()
    {
        bool open;
        do
        {
            open = _queue.Wait();
            // The clock ticks only while somebody waits: an idle process is not to be woken ten times a second.
            _sweep.Change(SweepInterval, SweepInterval);
            // Also after it was closed: what had been offered is still answered.
            while (_queue.Take(_options.BatchEvents, _options.BatchBytes) is { Count: > 0 } batch)
            {
                try
                {
                    Deliver(batch);
                    if (_gather > TimeSpan.Zero)
                        Wait(_gather);
                    _gather = TimeSpan.Zero;
                }
                catch (Exception e)
                {
                    // A fault of this code. Nobody must wait for nothing: each is told what is known of it.
                    batch.ForEach(item => item.GiveUp());
                    Log.WriterFault(_log, e);
                }
            }

            _sweep.Change(Timeout.InfiniteTimeSpan, SweepInterval);
        }
        while (open);
    }

    private void Deliver(List<Pending> batch)
    {
        Volatile.Write(ref _inFlight, batch);
        // Halves of what Postgres refuses, the next one on top.
        var calls = new Stack<Call>();
        calls.Push(new([.. batch.OfType<PendingAppend>()], [.. batch.OfType<PendingQuestion>()]));
        while (calls.TryPop(out var call))
        {
            if (CallUntilAnswered(call) is not { } refusal)
                continue;
            if (call.TrySplit(out var first, out var rest))
            {
                calls.Push(rest);
                calls.Push(first);
            }
            else
            {
                Log.DataRefused(_log, refusal.SqlState, refusal.MessageText);
                call.Refuse(refusal.MessageText);
            }
        }

        Volatile.Write(ref _inFlight, []);
    }

    /// <summary>Calls until all of it is answered, by the journal or by the clock; returns Postgres' refusal of the data, if any.</summary>
    private PostgresException? CallUntilAnswered(Call call)
    {
        for (var backOff = FirstBackOff; ; backOff = backOff * 2 < LongestBackOff ? backOff * 2 : LongestBackOff)
        {
            call.Prune(_fenced);
            if (call.IsEmpty)
                return null;
            if (!TryConnect())
            {
                Wait(backOff);
                continue;
            }

            if (!call.TryBegin())
                continue;
            var connection = _connection!;
            try
            {
                var reply = Send(connection, call);
                _left.Clear();
                call.Answer(reply, _known);
                return null;
            }
            catch (PostgresException e) when (e.InvariantSeverity == "ERROR")
            {
                // Rolled back, and the server has said so.
                call.End(ambiguous: false);
                if (IsAboutData(e))
                    return e;
                Refused(e);
            }
            catch (Exception e)
            {
                // The server may have committed, or may yet: only a later attempt's call tells.
                call.End(ambiguous: true);
                Log.CallLost(_log, connection.Attempt, e);
                _metrics.CallLost();
                Leave(connection);
            }

            Wait(backOff);
        }
    }

    private AppendReply Send(AppendConnection connection, Call call)
    {
        var events = call.Appends.Sum(a => a.Weight);
        _metrics.Calling(events);
        var began = _time.GetTimestamp();
        using var traced = EngineTelemetry.Follow("journal.append", ActivityKind.Client, call.Items(), item => item.Trace);
        // Both run on the clock's thread while the call waits for the server.
        using var drop = _time.CreateTimer(
            static state => ((AppendConnection)state!).Drop(), connection, _options.CallTimeout, Timeout.InfiniteTimeSpan);
        using var watch = _time.CreateTimer(
            _ => _ = _headWatch.FreeHeadAsync(connection.Backend), null, _options.HeadPatience, _options.HeadPatience);
        var reply = connection.Call(call.Appends, call.Questions);
        // Where others append, too, calls stand in line for the head, and each costs the server what many events do: whoever lets as much
        // time pass as the call took sends half as many. For who comes alone there is nobody to wait for.
        var shared = reply.FirstPosition - 1 > _head.Value;
        var took = _time.GetElapsedTime(began);
        _gather = !shared || events < 2 ? TimeSpan.Zero : took < _options.GatherAtMost ? took : _options.GatherAtMost;
        _head = reply.Head;
        return reply;
    }

    private bool TryConnect()
    {
        if (_connection is { IsUsable: true })
            return true;
        if (_connection is { } broken)
            Leave(broken);
        try
        {
            _connection = AppendConnection.Open(_database, _silo, _attempt, _known, _left, _options.CallTimeout, _time);
            _attempt = _connection.Attempt;
            Log.WriterConnected(_log, _silo, _attempt);
            return true;
        }
        catch (JournalRestoredException e)
        {
            // Accounts and transfers in memory know events that never happened now, and would go on from them.
            _fenced = true;
            Log.JournalRestored(_log, _silo, e.Message);
            _onFenced();
            return false;
        }
        catch (Exception e)
        {
            Log.ConnectFailed(_log, e);
            return false;
        }
    }

    private void Refused(PostgresException e)
    {
        if (e.SqlState == JournalErrorCodes.Fenced)
        {
            _fenced = true;
            Log.Fenced(_log, _silo);
            _onFenced();
            return;
        }

        // Someone has the silo's name and a later attempt, and the next connection's number is above it; or this server cannot write, as
        // after a fail-over, and the next connection may find one that can.
        Log.CallRefused(_log, e.SqlState, e.MessageText);
        Leave(_connection!);
    }

    private void Leave(AppendConnection connection)
    {
        _connection = null;
        _left.Add(connection.Backend);
        // Without a farewell, which a broken network would make wait.
        connection.Drop();
        connection.Dispose();
    }

    private void Wait(TimeSpan backOff) => Task.Delay(backOff, _time).GetAwaiter().GetResult();

    private void Sweep()
    {
        var now = _time.GetTimestamp();
        _queue.Expire(now);
        foreach (var item in Volatile.Read(ref _inFlight))
            if (item.Deadline <= now)
                item.GiveUp();
    }

    /// <summary>Whether the refusal is the fault of an append's own data, so that its neighbours can do without it.</summary>
    private static bool IsAboutData(PostgresException e) =>
        e.SqlState is PostgresErrorCodes.NotNullViolation or PostgresErrorCodes.CheckViolation or JournalErrorCodes.InvalidArguments ||
        // Data exceptions; and limits of the program, for example of an array's or a json's size.
        e.SqlState.StartsWith("22", StringComparison.Ordinal) || e.SqlState.StartsWith("54", StringComparison.Ordinal);

    // What Postgres would refuse or the driver could not send; a fault that is found here costs the neighbours nothing.
    private string? Flaw(PendingAppend pending) => pending.Append switch
    {
        { Events.Count: 0 } => "an append has at least one event",
        { Expected.Version: < 0 } => "a version is not negative",
        // It would keep everybody waiting for longer than a call may take, time and again.
        _ when pending.Weight > _options.QueueEvents || pending.Bytes > _options.QueueBytes => "an append fits into the writer's queue",
        var append => Unstorable(append.StreamId, 200)
            ?? UnstorableType(append.Events)
            ?? (append.Events.Count > 1 && append.Events.DistinctBy(e => e.EventId).Count() < append.Events.Count
                ? "the events of an append have different ids"
                : null),
    };

    private static long SizeOf(IReadOnlyList<NewEvent> events)
    {
        long bytes = 0;
        for (var i = 0; i < events.Count; i++)
            bytes += 200L + events[i].Data.Length + events[i].Metadata.Length;
        return bytes;
    }

    private static string? UnstorableType(IReadOnlyList<NewEvent> events)
    {
        for (var i = 0; i < events.Count; i++)
            if (Unstorable(events[i].EventType, 100) is { } reason)
                return reason;
        return null;
    }

    private static string? Unstorable(string name, int length)
    {
        if (name.Length == 0 || name.Length > length)
            return $"a name has 1 to {length} characters";
        if (name.Contains('\0', StringComparison.Ordinal))
            return "a name has no NUL";
        try
        {
            StrictUtf8.GetByteCount(name);
            return null;
        }
        catch (EncoderFallbackException)
        {
            return "a name is well-formed Unicode";
        }
    }

    /// <summary>What goes to the server together.</summary>
    private sealed class Call(List<PendingAppend> appends, List<PendingQuestion> questions)
    {
        public List<PendingAppend> Appends => appends;

        public List<PendingQuestion> Questions => questions;

        public bool IsEmpty => appends.Count == 0 && questions.Count == 0;

        public IEnumerable<Pending> Items() => [.. appends, .. questions];

        /// <summary>Leaves out what has been answered, and answers what need not be sent.</summary>
        public void Prune(bool fenced)
        {
            foreach (var item in Items())
                if (fenced)
                    item.GiveUp();
            foreach (var append in appends)
                // One that may be written is sent again even so: the journal knows, and nobody else.
                if (append is { MaybeWritten: false, Append.Epoch: { EndedBy: not null } epoch })
                    append.Answer(epoch.Felled);
            appends.RemoveAll(append => append.IsAnswered);
            questions.RemoveAll(question => question.IsAnswered);
        }

        /// <summary>Claims all of it; false where the clock has answered one since, which must then not be sent.</summary>
        public bool TryBegin()
        {
            if (Items().All(item => item.TryBeginCall()))
                return true;
            End(ambiguous: false);
            return false;
        }

        public void End(bool ambiguous)
        {
            foreach (var item in Items())
                item.EndCall(ambiguous);
        }

        public void Answer(AppendReply reply, LastKnown known)
        {
            var position = reply.FirstPosition - 1;
            // Before anybody hears of it.
            if (Array.LastIndexOf(reply.Exceptions, null) is >= 0 and var last)
                known.Note(reply.Head, appends[last].Append.After.EventId);
            for (var i = 0; i < appends.Count; i++)
            {
                var (pending, append) = (appends[i], appends[i].Append);
                var exception = reply.Exceptions[i];
                if (exception is null)
                    position += append.Events.Count;
                pending.Answer(exception switch
                {
                    null => new AppendOutcome.Appended(append.After, new(position), reply.RecordedAt),
                    { Outcome: "appended" } => new AppendOutcome.Appended(append.After, new(exception.Position), reply.RecordedAt),
                    { Outcome: "exact" } => new AppendOutcome.AlreadyAppended(exception.Recorded, Exact: true),
                    { Outcome: "already" } => new AppendOutcome.AlreadyAppended(exception.Recorded, Exact: false),
                    { Outcome: "reused" } => new AppendOutcome.IdReused(exception.Recorded),
                    // Its epoch had ended before it, in this call or while it was under way: not a judgement of its own.
                    _ when append.Epoch.EndedBy is not null => append.Epoch.Felled,
                    { Outcome: "conflict" } => new AppendOutcome.Conflict(exception.Version),
                    _ => AppendOutcome.Conflict.Felled,
                });
            }

            for (var i = 0; i < questions.Count; i++)
                questions[i].Answer(new Answer.Confirmed(reply.Answers[i].Last, reply.Head, reply.Answers[i].Recorded));
        }

        /// <summary>Halves it, in order and questions last; false where nothing is left to be halved.</summary>
        public bool TrySplit(out Call first, out Call rest)
        {
            var (a, q) = (appends.Count, questions.Count);
            (first, rest) = (a, q) switch
            {
                ( > 1, _) => (new Call(appends[..(a / 2)], []), new Call(appends[(a / 2)..], questions)),
                (1, > 0) => (new Call(appends, []), new Call([], questions)),
                _ => (new Call(appends, questions[..(q / 2)]), new Call([], questions[(q / 2)..])),
            };
            return a + q > 1;
        }

        /// <summary>Answers the one item that is left.</summary>
        public void Refuse(string reason)
        {
            foreach (var append in appends)
                append.Answer(new AppendOutcome.Invalid(reason));
            foreach (var question in questions)
                question.GiveUp();
        }
    }
}
