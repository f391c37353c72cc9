-- Folds the next events of the journal, at most max_events of them, into work.open_transfers. Returns how many are left behind the head.
--
-- The checkpoint's row is locked first, in a statement of its own: a second watchdog waits here, and then sees what the first one has done
-- (READ COMMITTED: each statement sees what was committed before it began). Table and checkpoint change in one transaction.
CREATE OR REPLACE FUNCTION work.follow_transfers(max_events bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
    done_to bigint;
    done_event uuid;
    head bigint;
    upto bigint;
BEGIN
    INSERT INTO work.checkpoints (name, position) VALUES ('open_transfers', 0) ON CONFLICT (name) DO NOTHING;
    SELECT c.position, c.event_id INTO STRICT done_to, done_event
    FROM work.checkpoints c WHERE c.name = 'open_transfers' FOR UPDATE;
    SELECT h.position INTO STRICT head FROM journal.head h;
    IF head < done_to OR done_event <> (SELECT e.event_id FROM journal.events e WHERE e.position = done_to) THEN
        -- The journal was restored to an earlier point, and may have grown again since: what was folded beyond it never happened.
        done_to := 0;
    END IF;
    upto := least(done_to + max_events, head);
    IF done_to = 0 THEN
        DELETE FROM work.open_transfers;
    ELSIF upto = done_to THEN
        RETURN 0;
    END IF;

    WITH steps AS (
        SELECT CASE WHEN e.stream_id LIKE 'transfer-%' THEN substr(e.stream_id, 10) ELSE e.data ->> 'transfer_id' END::uuid AS transfer_id,
               e.event_type, e.position, e.recorded_at
        FROM journal.events e
        WHERE e.position > done_to AND e.position <= upto
            AND e.event_type IN ('TransferRequested', 'TransferSent', 'TransferDeclined', 'TransferReceived', 'ReturnDecided',
                'TransferReturned', 'TransferRejected', 'TransferFailed', 'TransferCompleted')
    ), latest AS (
        SELECT s.transfer_id, (array_agg(s.event_type ORDER BY s.position DESC))[1] AS event_type, max(s.position) AS position,
               -- Where the clock was set back, the journal's time stands still until the clock has caught up.
               least(max(s.recorded_at), clock_timestamp()) AS recorded_at, bool_or(s.event_type = 'TransferSent') AS sent
        FROM steps s GROUP BY s.transfer_id
    ), ended AS (
        DELETE FROM work.open_transfers o USING latest l
        WHERE o.transfer_id = l.transfer_id AND l.event_type IN ('TransferRejected', 'TransferFailed', 'TransferCompleted')
    )
    INSERT INTO work.open_transfers AS o (transfer_id, phase, position, last_step_at)
    SELECT l.transfer_id,
           CASE
               WHEN l.event_type = 'TransferRequested' THEN 'sending'
               WHEN l.event_type = 'TransferSent' THEN 'receiving'
               WHEN l.event_type = 'ReturnDecided' THEN 'returning'
               -- Declined: by the destination if the money had left, else by the source.
               WHEN l.event_type = 'TransferDeclined' AND (l.sent OR EXISTS (
                   SELECT FROM work.open_transfers known WHERE known.transfer_id = l.transfer_id AND known.phase = 'receiving'))
                   THEN 'returning'
               ELSE 'completing'
           END, l.position, l.recorded_at
    FROM latest l
    WHERE l.event_type NOT IN ('TransferRejected', 'TransferFailed', 'TransferCompleted')
    ON CONFLICT (transfer_id) DO UPDATE
        SET phase = excluded.phase, position = excluded.position, last_step_at = excluded.last_step_at, resumed_at = NULL;

    UPDATE work.checkpoints c SET position = upto, event_id = (SELECT e.event_id FROM journal.events e WHERE e.position = upto)
    WHERE c.name = 'open_transfers';
    RETURN head - upto;
END
$$;

REVOKE ALL ON FUNCTION work.follow_transfers FROM PUBLIC;
GRANT EXECUTE ON FUNCTION work.follow_transfers TO bank_app;
