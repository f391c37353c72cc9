namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// The last event that a process knows to be recorded, whoever told it. A journal that has another one there, or ends before, was restored,
/// or is a standby's that had not received it; then nothing that the process has in memory is to be believed.
/// </summary>
internal sealed class LastKnown
{
    private readonly Lock _gate = new();
    private (Position Position, Guid EventId, bool IsLost) _value;

    /// <summary>Position 0 before any is known.</summary>
    public (Position Position, Guid EventId, bool IsLost) Value
    {
        get
        {
            lock (_gate)
                return _value;
        }
    }

    /// <summary>An event is recorded.</summary>
    public void Note(Position position, Guid eventId)
    {
        lock (_gate)
        {
            // What comes after a loss is of another history.
            if (position > _value.Position && !_value.IsLost)
                _value = (position, eventId, false);
        }
    }

    /// <summary>The journal does not have it any more.</summary>
    public void Lose()
    {
        lock (_gate)
            _value.IsLost = true;
    }
}
