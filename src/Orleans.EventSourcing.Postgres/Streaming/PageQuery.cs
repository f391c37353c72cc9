using Npgsql;

namespace Orleans.EventSourcing.Postgres;

/// <summary>An event of a page, and the slot of its stream.</summary>
internal readonly record struct PageEvent(RecordedEvent Event, byte Slot);

/// <summary>What some slots hold between two positions, as one snapshot of the journal has it.</summary>
/// <param name="From">Exclusive.</param>
/// <param name="To">Inclusive; not above <paramref name="Head"/> unless <paramref name="From"/> is.</param>
/// <param name="Head">Of the journal.</param>
/// <param name="Events">In order. The last one may be of another slot: what lies at <paramref name="To"/>, where anything does.</param>
internal sealed record JournalPage(Position From, Position To, Position Head, IReadOnlyList<PageEvent> Events);

/// <summary>Reads pages with one command, which its owner gives a connection and may keep.</summary>
internal sealed class PageQuery
{
    /// <summary>Where the events of a page are large, the page ends early.</summary>
    public const long Bytes = 4 << 20;

    // How many positions one page passes over at most, so that slots that are nearly empty do not make a long statement.
    private const long Span = 16_384;

    private readonly NpgsqlCommand _command;

    public PageQuery(NpgsqlCommand command)
    {
        _command = command;
        // One statement, so that head and events are of one snapshot. Positions are given and committed in the same order: whatever is
        // not seen below the head is not there, and never will be.
        command.CommandText =
            $"""
            WITH h AS MATERIALIZED (SELECT position AS head, least(position, $1 + $4) AS upto FROM journal.head)
            SELECT h.head, h.upto, e.slot, {RecordedEventReader.Columns}
            FROM h LEFT JOIN LATERAL (
                SELECT * FROM journal.events e
                WHERE e.position > $1 AND e.position <= h.upto AND (get_bit($2, e.slot) = 1 OR e.position = h.upto)
                ORDER BY e.position LIMIT $3) e ON true
            ORDER BY e.position
            """;
        command.Parameters.Add(new NpgsqlParameter<long>());
        command.Parameters.Add(new NpgsqlParameter<byte[]>());
        command.Parameters.Add(new NpgsqlParameter<long>());
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = Span });
    }

    public async Task<JournalPage> ReadAsync(SlotSet slots, Position after, int limit, CancellationToken cancellation)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        ((NpgsqlParameter<long>)_command.Parameters[0]).TypedValue = after.Value;
        ((NpgsqlParameter<byte[]>)_command.Parameters[1]).TypedValue = slots.Bits;
        ((NpgsqlParameter<long>)_command.Parameters[2]).TypedValue = limit;
        await using var reader = await _command.ExecuteReaderAsync(cancellation).ConfigureAwait(false);

        var events = new List<PageEvent>();
        var bytes = 0L;
        Position head = default, upTo = default;
        while (bytes < Bytes && await reader.ReadAsync(cancellation).ConfigureAwait(false))
        {
            (head, upTo) = (new(reader.GetInt64(0)), new(reader.GetInt64(1)));
            if (reader.IsDBNull(2))
                break;
            var e = RecordedEventReader.Read(reader, 3);
            bytes += e.Data.Length + e.Metadata.Length;
            events.Add(new(e, (byte)reader.GetInt16(2)));
        }

        if (events.Count == limit || bytes >= Bytes)
            upTo = events[^1].Event.Position;
        return new(after, upTo > after ? upTo : after, head, events);
    }
}
