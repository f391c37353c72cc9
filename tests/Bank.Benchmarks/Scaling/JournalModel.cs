namespace Bank.Benchmarks.Scaling;

/// <summary>What a call to the journal costs, in seconds.</summary>
/// <param name="Locked">Under the head's lock, whatever the batch: the statement's own work and the commit's flush.</param>
/// <param name="LockedPerEvent">Under the lock, for each event: rows, indexes, hashes.</param>
/// <param name="Outside">Without the lock, whatever the batch: the round trip between silo and server, and the writer's own work.</param>
/// <param name="OutsidePerEvent">Without the lock, for each event: a silo answers a caller and decides its next command.</param>
internal sealed record JournalCosts(double Locked, double LockedPerEvent, double Outside, double OutsidePerEvent)
{
    /// <summary>The same on a disk whose flush takes so much longer, or whose standby is so much further away.</summary>
    public JournalCosts WithCommitLater(double seconds) => this with { Locked = Locked + seconds };

    /// <summary>The same with so much more time on the way between silo and server.</summary>
    public JournalCosts WithRoundTripLater(double seconds) => this with { Outside = Outside + seconds };

    /// <summary>What no number of silos exceeds: the lock is never free, and every batch is full.</summary>
    public double Limit(int batchEvents) => batchEvents / (Locked + batchEvents * LockedPerEvent);
}

/// <summary>
/// Silos that share one lock, each with a writer that has one call in flight and gathers its next batch where others have committed
/// meanwhile, and with callers who ask again as soon as they have been answered. Events in order of time, no chance: the same arguments
/// always give the same rate.
/// </summary>
internal static class JournalModel
{
    private const int Batches = 500;

    private enum Kind
    {
        Asked,
        AtTheLock,
        Committed,
        Replied,
        Gathered,
    }

    /// <summary>Events per second, and per batch.</summary>
    /// <param name="costs">Of this machine.</param>
    /// <param name="silos">How many writers there are.</param>
    /// <param name="callers">How many commands are in flight in all.</param>
    /// <param name="batchEvents">The most that one call carries.</param>
    /// <param name="gatherAtMost">How long a writer gathers at most, in seconds.</param>
    public static (double PerSecond, double PerBatch) Run(
        JournalCosts costs, int silos, int callers, int batchEvents, double gatherAtMost = 0.010)
    {
        var agenda = new PriorityQueue<(Kind What, int Silo), (double At, long Order)>();
        var (waiting, batch, busy) = (new int[silos], new int[silos], new bool[silos]);
        var (began, known, shared) = (new double[silos], new long[silos], new bool[silos]);
        var lockQueue = new Queue<int>();
        var (now, order, lockFree, committed, batches) = (0.0, 0L, true, 0L, 0);
        for (var caller = 0; caller < callers; caller++)
            Schedule(0, Kind.Asked, caller % silos);

        while (batches < Batches)
        {
            agenda.TryDequeue(out var next, out var at);
            now = at.At;
            switch (next.What)
            {
                case Kind.Asked:
                    waiting[next.Silo]++;
                    CallIfIdle(next.Silo);
                    break;
                case Kind.AtTheLock:
                    lockQueue.Enqueue(next.Silo);
                    TakeLock();
                    break;
                case Kind.Committed:
                    lockFree = true;
                    TakeLock();
                    shared[next.Silo] = committed > known[next.Silo];
                    known[next.Silo] = committed += batch[next.Silo];
                    batches++;
                    Schedule(costs.Outside / 2, Kind.Replied, next.Silo);
                    break;
                case Kind.Replied:
                    // The silo answers one caller after the other, and each asks again; meanwhile the writer gathers, or is free.
                    for (var answered = 1; answered <= batch[next.Silo]; answered++)
                        Schedule(answered * costs.OutsidePerEvent, Kind.Asked, next.Silo);
                    if (shared[next.Silo] && batch[next.Silo] > 1 && gatherAtMost > 0)
                        Schedule(Math.Min(now - began[next.Silo], gatherAtMost), Kind.Gathered, next.Silo);
                    else
                        Free(next.Silo);
                    break;
                case Kind.Gathered:
                    Free(next.Silo);
                    break;
            }
        }

        return (committed / now, (double)committed / batches);

        void Free(int silo)
        {
            busy[silo] = false;
            CallIfIdle(silo);
        }

        void CallIfIdle(int silo)
        {
            if (busy[silo] || waiting[silo] == 0)
                return;
            busy[silo] = true;
            began[silo] = now;
            batch[silo] = Math.Min(waiting[silo], batchEvents);
            waiting[silo] -= batch[silo];
            Schedule(costs.Outside / 2, Kind.AtTheLock, silo);
        }

        void TakeLock()
        {
            if (!lockFree || !lockQueue.TryDequeue(out var silo))
                return;
            lockFree = false;
            Schedule(costs.Locked + batch[silo] * costs.LockedPerEvent, Kind.Committed, silo);
        }

        void Schedule(double after, Kind what, int silo) => agenda.Enqueue((what, silo), (now + after, order++));
    }
}
