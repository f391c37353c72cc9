#pragma warning disable NPG9001 // NpgsqlConnector: see Drop
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Npgsql;
using Npgsql.Internal;
using NpgsqlTypes;

namespace Orleans.EventSourcing.Postgres;

/// <summary>A backend of the server: process ids come again, with another start.</summary>
internal readonly record struct Backend(int ProcessId, DateTime StartedAt);

/// <summary>What <c>journal.append</c> says of one append that was not simply appended.</summary>
internal sealed record AppendException(string Outcome, long Version, long Position)
{
    public List<RecordedEvent> Recorded { get; } = [];
}

/// <summary>The reply to a call, after its transaction has ended.</summary>
/// <param name="FirstPosition">Of the batch; the one after the head where nothing was written.</param>
/// <param name="Head">Afterwards.</param>
/// <param name="RecordedAt">Time of the batch.</param>
/// <param name="Exceptions">By append; null where it was simply appended.</param>
/// <param name="Answers">By question.</param>
internal sealed record AppendReply(
    long FirstPosition, Position Head, DateTimeOffset RecordedAt, AppendException?[] Exceptions,
    (StreamState Last, List<RecordedEvent> Recorded)[] Answers);

/// <summary>The journal does not have what this process knows to be recorded.</summary>
internal sealed class JournalRestoredException(Position known)
    : Exception($"The journal has lost the event at position {known}, which this process knows.");

/// <summary>The wait for a synchronous standby was given up: the transaction is committed here, and perhaps nowhere else.</summary>
internal sealed class CommitNotReplicatedException(PostgresNotice notice) : Exception(notice.MessageText);

/// <summary>
/// One attempt of a silo's writer: a dedicated connection with <c>journal.append</c> prepared. It never sends a cancel request: while a
/// synchronous standby is gone, a cancelled commit is reported as a success that may yet be lost. So commands have no time-out and no
/// token, and whoever is tired of waiting drops the connection.
/// </summary>
internal sealed class AppendConnection : IDisposable
{
    private readonly NpgsqlConnection _connection;
    private readonly Socket _socket;
    private readonly NpgsqlCommand _command;
    private readonly AppendColumns _columns = new();
    private PostgresNotice? _warning;

    private AppendConnection(NpgsqlConnection connection, Backend backend, string silo, long attempt)
    {
        _connection = connection;
        // Npgsql has no way to drop a connection that does not ask the server to cancel first; closing the socket under it has the same
        // effect as a lost network.
        _socket = SocketOf(ConnectorOf(connection)!);
        Backend = backend;
        Attempt = attempt;
        connection.Notice += (_, e) =>
        {
            // Its text is translated, its code is not; nothing in journal.append warns.
            if (e.Notice.SqlState == PostgresErrorCodes.Warning)
                _warning = e.Notice;
        };
        _command = new NpgsqlCommand(
            "SELECT * FROM journal.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)", connection)
        {
            CommandTimeout = 0,
        };
        _command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = silo });
        _command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = attempt });
        _columns.AddTo(_command.Parameters);
    }

    /// <summary>The server's side of the connection.</summary>
    public Backend Backend { get; }

    /// <summary>Its number among the attempts of the silo's writer.</summary>
    public long Attempt { get; }

    /// <summary>Whether another call can be made.</summary>
    public bool IsUsable => _connection.FullState == System.Data.ConnectionState.Open;

    /// <summary>Opens a connection whose attempt number is above all that the silo has used.</summary>
    /// <param name="dataSource">Unpooled, without command time-out.</param>
    /// <param name="silo">Of the writer.</param>
    /// <param name="lastAttempt">The highest attempt of this process.</param>
    /// <param name="known">What the journal must have.</param>
    /// <param name="left">Backends of earlier attempts that may still be at it; those that wait for the head or a client are ended.</param>
    /// <param name="timeout">How long it may take after the log-in, which has a time-out of its own.</param>
    /// <param name="time">The clock.</param>
    /// <exception cref="JournalRestoredException">It has lost an event.</exception>
    public static AppendConnection Open(
        NpgsqlDataSource dataSource, string silo, long lastAttempt, LastKnown known, IReadOnlyCollection<Backend> left, TimeSpan timeout,
        TimeProvider time)
    {
        var connection = dataSource.CreateConnection();
        try
        {
            connection.Open();
            // A server that falls silent here must not hold the writer for ever.
            using var drop = time.CreateTimer(
                static socket => ((Socket)socket!).Dispose(), SocketOf(ConnectorOf(connection)!), timeout, Timeout.InfiniteTimeSpan);
            // No connection outlives a restore or a fail-over, so this is the place to notice one.
            var last = known.Value;
            if (last.IsLost)
                throw new JournalRestoredException(last.Position);
            // A lost attempt's backend may still wait for the head in front of this one. To end it is tidiness: the attempt's number
            // shuts it out. One that waits for a standby has committed, and ending that wait would show what no standby has; one that
            // works may be about to commit and wait so.
            using var greeting = new NpgsqlCommand(
                """
                SELECT (SELECT attempt FROM journal.writers WHERE silo = $1),
                       (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()),
                       (SELECT count(pg_terminate_backend(a.pid))
                        FROM unnest($2, $3) l (pid, started_at) JOIN pg_stat_activity a ON a.pid = l.pid AND a.backend_start = l.started_at
                        WHERE a.wait_event_type IN ('Lock', 'Client')),
                       (SELECT h.position < $4 OR EXISTS (SELECT FROM journal.events e WHERE e.position = $4 AND e.event_id <> $5)
                        FROM journal.head h)
                """,
                connection)
            {
                CommandTimeout = 0,
                Parameters =
                {
                    new NpgsqlParameter<string> { TypedValue = silo },
                    new NpgsqlParameter<int[]> { TypedValue = [.. left.Select(b => b.ProcessId)] },
                    new NpgsqlParameter<DateTime[]> { TypedValue = [.. left.Select(b => b.StartedAt)] },
                    new NpgsqlParameter<long> { TypedValue = last.Position.Value },
                    new NpgsqlParameter<Guid> { TypedValue = last.EventId },
                },
            };
            long recorded;
            DateTime startedAt;
            using (var reader = greeting.ExecuteReader())
            {
                reader.Read();
                recorded = reader.IsDBNull(0) ? 0 : reader.GetInt64(0);
                startedAt = reader.GetDateTime(1);
                if (reader.GetBoolean(3))
                    throw new JournalRestoredException(last.Position);
            }

            var opened = new AppendConnection(
                connection, new(connection.ProcessID, startedAt), silo, Math.Max(lastAttempt, recorded) + 1);
            opened._command.Prepare();
            return opened;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Fails where Npgsql has changed inside so that <see cref="Drop"/> could not work.</summary>
    /// <exception cref="NotSupportedException">Another version of Npgsql is needed.</exception>
    public static void RefuseUnknownDriver()
    {
        try
        {
            ConnectorOf(new NpgsqlConnection());
            SocketOf((NpgsqlConnector)RuntimeHelpers.GetUninitializedObject(typeof(NpgsqlConnector)));
        }
        catch (MissingMemberException e)
        {
            throw new NotSupportedException(
                $"The journal cannot drop connections of Npgsql {typeof(NpgsqlConnection).Assembly.GetName().Version}; use 10.0.", e);
        }
    }

    /// <summary>Makes one call: one transaction, and one batch where it writes.</summary>
    /// <exception cref="PostgresException">With the severity ERROR nothing was written, and the connection is good.</exception>
    /// <exception cref="Exception">Anything else: it may be written, now or later.</exception>
    public AppendReply Call(IReadOnlyList<PendingAppend> appends, IReadOnlyList<PendingQuestion> questions)
    {
        _columns.Fill(appends, questions);
        _warning = null;
        AppendReply reply;
        using (var reader = _command.ExecuteReader())
        {
            reply = Read(reader, appends.Count, questions.Count);
            // Rows arrive before the commit. Only when there is no next result has ReadyForQuery been read, and with it the commit's error.
            if (reader.NextResult())
                throw new InvalidOperationException("journal.append has two results.");
        }

        return _warning is { } notice ? throw new CommitNotReplicatedException(notice) : reply;
    }

    /// <summary>Drops the connection without a word to the server. Never waits; a call under way ends with an exception.</summary>
    public void Drop() => _socket.Dispose();

    public void Dispose()
    {
        _command.Dispose();
        _connection.Dispose();
    }

    private static AppendReply Read(NpgsqlDataReader reader, int appends, int questions)
    {
        var exceptions = new AppendException?[appends];
        var answers = new (StreamState Last, List<RecordedEvent> Recorded)[questions];
        var (first, head, recordedAt) = (0L, default(Position), default(DateTimeOffset));
        while (reader.Read())
        {
            // The kinds are told in functions/append.sql.
            switch (reader.GetInt16(0))
            {
                case 0:
                    first = reader.GetInt64(6);
                    head = new(reader.GetInt64(3));
                    recordedAt = reader.GetFieldValue<DateTimeOffset>(11);
                    break;
                case 1:
                    exceptions[reader.GetInt32(1) - 1] = new(
                        reader.GetString(2), reader.IsDBNull(6) ? -1 : reader.GetInt64(6), reader.IsDBNull(3) ? 0 : reader.GetInt64(3));
                    break;
                case 2:
                    answers[reader.GetInt32(1) - 1] =
                        (new(reader.GetInt64(6), reader.IsDBNull(4) ? Guid.Empty : reader.GetGuid(4)), []);
                    break;
                case 3:
                    exceptions[reader.GetInt32(1) - 1]!.Recorded.Add(RecordedEventReader.Read(reader, 3));
                    break;
                case 4:
                    answers[reader.GetInt32(1) - 1].Recorded.Add(RecordedEventReader.Read(reader, 3));
                    break;
                case var kind:
                    throw new InvalidOperationException($"journal.append has sent a row of kind {kind}.");
            }
        }

        return new(first, head, recordedAt, exceptions, answers);
    }

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get_Connector")]
    private static extern NpgsqlConnector? ConnectorOf(NpgsqlConnection connection);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_socket")]
    private static extern ref Socket SocketOf(NpgsqlConnector connector);
}

/// <summary>The array arguments of <c>journal.append</c>; the lists are filled anew for each call.</summary>
internal sealed class AppendColumns
{
    // No event has it.
    private static readonly Guid NoEvent = Guid.AllBitsSet;

    private readonly List<int> _counts = [], _epochs = [];
    private readonly List<string> _streams = [], _types = [], _questionStreams = [];
    private readonly List<long> _versions = [];
    private readonly List<Guid?> _previousIds = [], _questionCommands = [];
    private readonly List<Guid> _eventIds = [];
    private readonly List<short> _schemaVersions = [];
    private readonly List<ReadOnlyMemory<byte>> _data = [], _metadata = [];
    private readonly Dictionary<Epoch, int> _epochNumbers = [];

    public void AddTo(NpgsqlParameterCollection parameters)
    {
        Add(_counts, NpgsqlDbType.Integer);
        Add(_epochs, NpgsqlDbType.Integer);
        Add(_streams, NpgsqlDbType.Text);
        Add(_versions, NpgsqlDbType.Bigint);
        Add(_previousIds, NpgsqlDbType.Uuid);
        Add(_eventIds, NpgsqlDbType.Uuid);
        Add(_types, NpgsqlDbType.Text);
        Add(_schemaVersions, NpgsqlDbType.Smallint);
        Add(_data, NpgsqlDbType.Jsonb);
        Add(_metadata, NpgsqlDbType.Jsonb);
        Add(_questionStreams, NpgsqlDbType.Text);
        Add(_questionCommands, NpgsqlDbType.Uuid);

        void Add<T>(List<T> values, NpgsqlDbType element) =>
            parameters.Add(new NpgsqlParameter<List<T>> { TypedValue = values, NpgsqlDbType = NpgsqlDbType.Array | element });
    }

    public void Fill(IReadOnlyList<PendingAppend> appends, IReadOnlyList<PendingQuestion> questions)
    {
        Clear();
        foreach (var pending in appends)
        {
            var append = pending.Append;
            _counts.Add(append.Events.Count);
            if (!_epochNumbers.TryGetValue(append.Epoch, out var epoch))
                _epochNumbers.Add(append.Epoch, epoch = _epochNumbers.Count);
            _epochs.Add(epoch);
            var (version, id) = append.Expected;
            Guid? previous = version == 0 ? null : id;
            // Sent once more to learn what became of it: it may be found, but what it stands on fell, so it must not be appended now, even
            // if another activation has recorded the same command at that version since, on another history.
            if (append.Epoch.EndedBy is not null)
                previous = NoEvent;
            foreach (var e in append.Events)
            {
                _streams.Add(append.StreamId);
                _previousIds.Add(previous);
                _versions.Add(++version);
                _eventIds.Add(e.EventId);
                previous = e.EventId;
                _types.Add(e.EventType);
                _schemaVersions.Add(e.SchemaVersion);
                _data.Add(e.Data);
                _metadata.Add(e.Metadata);
            }
        }

        foreach (var pending in questions)
        {
            _questionStreams.Add(pending.Question.StreamId);
            _questionCommands.Add(pending.Question.CommandId);
        }
    }

    // Nothing of a batch is kept until the next one, which may be long in coming.
    private void Clear()
    {
        _counts.Clear();
        _epochs.Clear();
        _streams.Clear();
        _versions.Clear();
        _previousIds.Clear();
        _eventIds.Clear();
        _types.Clear();
        _schemaVersions.Clear();
        _data.Clear();
        _metadata.Clear();
        _questionStreams.Clear();
        _questionCommands.Clear();
        _epochNumbers.Clear();
    }
}
