using System.Diagnostics.CodeAnalysis;

namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// What waits for the writer: two lanes, each bounded by events and bytes. What finds its lane full stands in line before it and is told
/// <see cref="Pending.Overload"/> when its time is up. The order within a stream never changes. Safe for all threads.
/// </summary>
internal sealed class AppendQueue(int maxWeight, long maxBytes, TimeSpan wait, TimeProvider time)
{
    // Its one reader waits for it to be pulsed.
    private readonly object _gate = new();
    private readonly WaitingLane _priority = new(Lane.Priority, maxWeight, maxBytes);
    private readonly WaitingLane _normal = new(Lane.Normal, maxWeight, maxBytes);
    private readonly long _wait = time.ToTimestamp(wait);
    private bool _closed;

    /// <summary>Events and questions that wait.</summary>
    public int Length
    {
        get
        {
            lock (_gate)
                return _priority.Weight + _normal.Weight;
        }
    }

    /// <summary>Takes an item in; false after <see cref="Close"/>.</summary>
    public bool Offer(Pending item)
    {
        lock (_gate)
        {
            if (_closed)
                return false;
            var admitBy = time.GetTimestamp() + _wait;
            if (item.Lane == Lane.Normal)
            {
                _normal.Add(item, admitBy);
            }
            else
            {
                // What was handed over earlier for the stream goes first, so it comes along.
                foreach (var earlier in _normal.Remove(item.StreamId))
                {
                    earlier.Lane = Lane.Priority;
                    _priority.Add(earlier, admitBy);
                }

                _priority.Add(item, admitBy);
            }

            Monitor.Pulse(_gate);
        }

        return true;
    }

    /// <summary>Fills a batch, priority first; empty where nothing waits.</summary>
    public List<Pending> Take(int batchWeight, long batchBytes)
    {
        var batch = new List<Pending>();
        lock (_gate)
        {
            while (_priority.TryTake(batch.Count == 0, ref batchWeight, ref batchBytes, out var item))
                batch.Add(item);
            // Not beside a rest of the priority lane: what is left there may be earlier in the same stream.
            while (_priority.IsEmpty && _normal.TryTake(batch.Count == 0, ref batchWeight, ref batchBytes, out var item))
                batch.Add(item);
        }

        return batch;
    }

    /// <summary>Waits until there is something to take; false when the queue is closed.</summary>
    public bool Wait()
    {
        lock (_gate)
        {
            while (!_closed && _priority.IsEmpty && _normal.IsEmpty)
                Monitor.Wait(_gate);
            return !_closed;
        }
    }

    /// <summary>Answers what has waited too long.</summary>
    public void Expire(long now)
    {
        lock (_gate)
        {
            _priority.Expire(now);
            _normal.Expire(now);
        }
    }

    /// <summary>Takes in nothing more. What waits can still be taken.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _closed = true;
            Monitor.Pulse(_gate);
        }
    }

    private sealed class WaitingLane(Lane lane, int maxWeight, long maxBytes)
    {
        private readonly Queue<Pending> _admitted = [];
        private readonly Queue<(Pending Item, long AdmitBy)> _line = [];
        // How many there are of each stream, so that Remove looks through the lane only where there is something to find.
        private readonly Dictionary<string, int> _streams = new(StringComparer.Ordinal);
        private long _bytes;

        public int Weight { get; private set; }

        public bool IsEmpty => _admitted.Count == 0;

        public void Add(Pending item, long admitBy)
        {
            _streams[item.StreamId] = _streams.GetValueOrDefault(item.StreamId) + 1;
            // Whoever comes later stands behind, however small: the order within a stream is the order of arrival.
            if (_line.Count == 0 && HasRoomFor(item))
                Admit(item);
            else
                _line.Enqueue((item, admitBy));
        }

        public bool TryTake(bool first, ref int weight, ref long bytes, [NotNullWhen(true)] out Pending? item)
        {
            while (_admitted.TryPeek(out item))
            {
                if (Holds(item))
                {
                    // One that is larger than a batch goes alone.
                    if (!first && (item.Weight > weight || item.Bytes > bytes))
                        return false;
                    weight -= item.Weight;
                    bytes -= item.Bytes;
                    DequeueAdmitted();
                    AdmitFromLine();
                    return true;
                }

                DequeueAdmitted();
                AdmitFromLine();
            }

            return false;
        }

        /// <summary>All items of a stream, in order. The caller moves them to the other lane; places here are skipped later.</summary>
        public List<Pending> Remove(string streamId)
        {
            if (!_streams.ContainsKey(streamId))
                return [];
            var admitted = _admitted.Where(item => Holds(item) && item.StreamId == streamId).ToList();
            foreach (var item in admitted)
                Release(item);
            List<Pending> all = [.. admitted, .. _line.Select(next => next.Item).Where(item => Holds(item) && item.StreamId == streamId)];
            // One by one: places of items that the clock has answered are counted until they are reached.
            foreach (var item in all)
                Forget(item);
            return all;
        }

        public void Expire(long now)
        {
            foreach (var item in _admitted)
                if (item.Deadline <= now && item.Lane == lane)
                    item.GiveUp();
            foreach (var (item, admitBy) in _line)
                if (item.Lane == lane && Math.Min(admitBy, item.Deadline) <= now)
                    item.Overload();
            while (_admitted.TryPeek(out var first) && !Holds(first))
                DequeueAdmitted();
            while (_line.TryPeek(out var next) && !Holds(next.Item))
                DequeueLine();
            AdmitFromLine();
        }

        // Neither answered by the clock nor moved to the other lane.
        private bool Holds(Pending item) => item.Lane == lane && !item.IsAnswered;

        private bool HasRoomFor(Pending item) =>
            Weight == 0 || (Weight + item.Weight <= maxWeight && _bytes + item.Bytes <= maxBytes);

        private void Admit(Pending item)
        {
            _admitted.Enqueue(item);
            Weight += item.Weight;
            _bytes += item.Bytes;
        }

        private void AdmitFromLine()
        {
            while (_line.TryPeek(out var next))
            {
                if (!Holds(next.Item))
                {
                    DequeueLine();
                    continue;
                }

                if (!HasRoomFor(next.Item))
                    return;
                _line.Dequeue();
                Admit(next.Item);
            }
        }

        private void DequeueAdmitted()
        {
            var item = _admitted.Dequeue();
            if (item.Lane != lane)
                return;
            Release(item);
            Forget(item);
        }

        private void DequeueLine()
        {
            var (item, _) = _line.Dequeue();
            if (item.Lane == lane)
                Forget(item);
        }

        private void Release(Pending item)
        {
            Weight -= item.Weight;
            _bytes -= item.Bytes;
        }

        private void Forget(Pending item)
        {
            var left = _streams.GetValueOrDefault(item.StreamId) - 1;
            if (left > 0)
                _streams[item.StreamId] = left;
            else
                _streams.Remove(item.StreamId);
        }
    }
}
