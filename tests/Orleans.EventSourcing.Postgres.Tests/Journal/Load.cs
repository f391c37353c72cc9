using System.Collections.Concurrent;
using System.Diagnostics;
using Bank.Testing;
using Npgsql;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Journal;

/// <summary>
/// Clients with a stream each, who append one command after another until they are stopped. Who does not know what became of a command asks
/// again with the same ids, and nobody stops in doubt.
/// </summary>
internal sealed class Load
{
    private readonly ConcurrentDictionary<string, List<Guid>> _acknowledged = new();
    private readonly ConcurrentDictionary<string, int> _outcomes = new();
    private readonly List<Task> _clients;
    private volatile bool _stopping;
    private long _longest;

    private Load(IReadOnlyList<PostgresJournal> journals, int clients) =>
        _clients = [.. Enumerable.Range(0, clients).Select(n => AppendAsync(journals[n % journals.Count], $"account-{n}"))];

    /// <summary>How often an outcome was heard.</summary>
    public int Heard(params string[] outcomes) => outcomes.Sum(outcome => _outcomes.GetValueOrDefault(outcome));

    /// <summary>The longest that a caller has waited for an outcome.</summary>
    public TimeSpan Longest => Stopwatch.GetElapsedTime(0, Interlocked.Read(ref _longest));

    public static Load Start(IReadOnlyList<PostgresJournal> journals, int clients) => new(journals, clients);

    /// <summary>Goes on for a while: until so many commands more were acknowledged.</summary>
    public Task AcknowledgedMoreAsync(int commands)
    {
        var before = Heard("Appended", "AlreadyAppended");
        return Eventually.UntilAsync(
            $"{commands} more commands are acknowledged",
            () =>
            {
                var failed = _clients.FirstOrDefault(client => client.IsFaulted);
                return failed is null
                    ? Task.FromResult(Heard("Appended", "AlreadyAppended") - before)
                    : throw new InvalidOperationException("A client has failed.", failed.Exception);
            },
            more => more >= commands,
            TimeSpan.FromSeconds(90));
    }

    /// <summary>Lets every client finish, and checks that what is recorded is what was acknowledged, once each and in order.</summary>
    public async Task EndAsync(NpgsqlDataSource database, CancellationToken cancellation)
    {
        _stopping = true;
        await Task.WhenAll(_clients).WaitAsync(TimeSpan.FromSeconds(90), cancellation);
        await Audit.VerifyAsync(database, cancellation);

        var recorded = new Dictionary<string, List<Guid>>();
        await using var command = database.CreateCommand(
            "SELECT stream_id, array_agg(event_id ORDER BY version) FROM journal.events WHERE stream_id ^@ 'account-' GROUP BY 1");
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            recorded.Add(reader.GetString(0), [.. reader.GetFieldValue<Guid[]>(1)]);
        Assert.Equal(_acknowledged.Keys.Order(), recorded.Keys.Order());
        Assert.All(_acknowledged, stream => Assert.Equal(stream.Value, recorded[stream.Key]));
    }

    private async Task AppendAsync(PostgresJournal journal, string stream)
    {
        var state = StreamState.Empty;
        List<Guid> acknowledged = [];
        for (var n = 0; !_stopping; n++)
        {
            var append = Make.Several(stream, state, 1 + n % 3);
            for (var known = false; !known; append = append.Again())
            {
                var started = Stopwatch.GetTimestamp();
                var outcome = await journal.AppendAsync(append);
                Note(outcome, Stopwatch.GetTimestamp() - started);
                known = outcome switch
                {
                    AppendOutcome.Appended appended => appended.Last == append.After,
                    AppendOutcome.AlreadyAppended { Exact: true } => true,
                    AppendOutcome.Unknown or AppendOutcome.Unavailable => false,
                    _ => throw new InvalidOperationException($"{stream} at {state}: {outcome}"),
                };
            }

            state = append.After;
            acknowledged.AddRange(append.Events.Select(e => e.EventId));
        }

        if (acknowledged.Count > 0)
            _acknowledged[stream] = acknowledged;
    }

    private void Note(AppendOutcome outcome, long waited)
    {
        _outcomes.AddOrUpdate(outcome.GetType().Name, 1, (_, count) => count + 1);
        for (var longest = Interlocked.Read(ref _longest); waited > longest; longest = Interlocked.Read(ref _longest))
            Interlocked.CompareExchange(ref _longest, waited, longest);
    }
}
