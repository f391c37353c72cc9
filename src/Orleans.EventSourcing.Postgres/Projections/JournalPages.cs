using Npgsql;

namespace Orleans.EventSourcing.Postgres;

/// <summary>What the journal holds between two positions, by partition.</summary>
/// <param name="From">Exclusive.</param>
/// <param name="To">Inclusive; below the page's end where the journal ends before.</param>
/// <param name="Head">Of the journal when the page was read.</param>
/// <param name="Events">By number of the partition, in order.</param>
internal sealed record SharedPage(Position From, Position To, Position Head, IReadOnlyList<RecordedEvent>[] Events);

/// <summary>
/// Reads the journal for partitions that are behind. Those that are far behind (a rebuild: all of them) share pages, so that a page is read
/// and decoded once for the process instead of once per partition.
/// </summary>
internal sealed class JournalPages(NpgsqlDataSource database, int partitions, int pageSize, int shared)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<long, (Task<SharedPage> Page, long Used)> _pages = [];
    private long _uses;

    /// <summary>
    /// The next events of a partition above a position. Shared pages begin at multiples of their size, so events at or below
    /// <paramref name="after"/> may be among them.
    /// </summary>
    /// <param name="after">Exclusive.</param>
    /// <param name="partition">Whose events.</param>
    /// <param name="known">A position that the journal is believed to have, which tells how far behind the partition is.</param>
    /// <param name="cancellation">Ends the wait, not a read that others share.</param>
    public async Task<(JournalInterval Interval, Position Head)> ReadAsync(
        Position after, Partition partition, Position known, CancellationToken cancellation)
    {
        var start = after.Value / pageSize * pageSize;
        var page = known.Value - after.Value > pageSize
            ? await Shared(start).WaitAsync(cancellation).ConfigureAwait(false)
            : await ReadAsync(after, new(after.Value + pageSize), partition, cancellation).ConfigureAwait(false);
        return (new(partition, page.From, page.To, page.Events[partition.Number]), page.Head);
    }

    /// <summary>Reads anew from now on: the journal is not the one that was read.</summary>
    public void Forget()
    {
        lock (_gate)
            _pages.Clear();
    }

    private Task<SharedPage> Shared(long start)
    {
        lock (_gate)
        {
            if (_pages.TryGetValue(start, out var kept))
            {
                _pages[start] = (kept.Page, ++_uses);
                return kept.Page;
            }

            if (_pages.Count >= shared)
                _pages.Remove(_pages.MinBy(p => p.Value.Used).Key);
            var page = ReadSharedAsync(start);
            // A read may have failed before it came to its first wait.
            if (!page.IsCompleted)
                _pages.Add(start, (page, ++_uses));
            return page;
        }
    }

    private async Task<SharedPage> ReadSharedAsync(long start)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        var complete = false;
        try
        {
            var page = await ReadAsync(new(start), new(start + pageSize), null, CancellationToken.None).ConfigureAwait(false);
            complete = page.To.Value == start + pageSize;
            return page;
        }
        finally
        {
            // What may still grow, and what failed, is read again by the next one.
            if (!complete)
            {
                lock (_gate)
                    _pages.Remove(start);
            }
        }
    }

    private async Task<SharedPage> ReadAsync(Position from, Position to, Partition? only, CancellationToken cancellation)
    {
        // One statement: the head that it sees is the head of the events that it sees. Positions are dense and in commit order, so
        // everything up to that head is here.
        await using var command = database.CreateCommand(
            $"""
            SELECT {RecordedEventReader.Columns}, e.slot, h.position
            FROM journal.head h
            LEFT JOIN journal.events e ON e.position > $1 AND e.position <= $2 AND e.slot BETWEEN $3 AND $4
            ORDER BY e.position
            """);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = from.Value });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = to.Value });
        command.Parameters.Add(new NpgsqlParameter<short> { TypedValue = (short)(only?.FirstSlot ?? 0) });
        command.Parameters.Add(new NpgsqlParameter<short> { TypedValue = (short)(only?.LastSlot ?? StreamSlot.Count - 1) });
        var events = new List<RecordedEvent>[partitions];
        for (var n = 0; n < partitions; n++)
            events[n] = [];
        var head = 0L;
        await using var reader = await command.ExecuteReaderAsync(cancellation).ConfigureAwait(false);
        while (await reader.ReadAsync(cancellation).ConfigureAwait(false))
        {
            head = reader.GetInt64(10);
            if (!reader.IsDBNull(0))
                events[Partition.Of(reader.GetInt16(9), partitions).Number].Add(RecordedEventReader.Read(reader, 0));
        }

        return new(from, new(Math.Min(to.Value, head)), new(head), events);
    }
}
