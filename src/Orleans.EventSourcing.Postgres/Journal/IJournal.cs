namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// The record: streams of events with one global order. Appends and questions of a silo are answered in the order in which they were
/// handed over, those of one stream always, whatever their lane. Members may be called from any thread.
/// </summary>
public interface IJournal : IJournalReader
{
    /// <summary>Appends one command's events. Never throws for the journal's sake: each failure is an outcome.</summary>
    ValueTask<AppendOutcome> AppendAsync(Append append);

    /// <summary>Asks for the last state of a stream and for a command, behind everything queued so far.</summary>
    ValueTask<Answer> AskAsync(Question question);

    /// <summary>
    /// Loads a stream for a fold: snapshot and first page of at most <paramref name="pageSize"/> events. Waits while a silo that is dead in
    /// this one's view has not been fenced.
    /// </summary>
    /// <exception cref="JournalUnavailableException">The journal cannot be read at present.</exception>
    Task<LoadedStream> LoadAsync(string streamId, int foldVersion, int pageSize, CancellationToken cancellation);

    /// <summary>Hands a snapshot over to be saved off the caller's path. It may be dropped: a snapshot is never needed.</summary>
    void Save(Snapshot snapshot);

    /// <summary>Deletes a stream and its snapshots, where the database's owner has granted that for the stream's type.</summary>
    /// <exception cref="InvalidOperationException">The stream's type may not be cleared.</exception>
    /// <exception cref="JournalUnavailableException">The journal cannot be reached at present.</exception>
    Task ClearAsync(string streamId, CancellationToken cancellation);
}
