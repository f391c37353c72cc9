-- Appends events and answers questions: the one way into the record. One call is one transaction and at most one batch.
--
-- Arguments. Events come one array per column, in order; counts[k] of them in a row are the k-th append, the events of one command for one
-- stream, which are appended together or not at all. Every event names the one that must stand before it in its stream (previous_ids;
-- NULL at version 1), so that an append whose predecessor is missing falls with it, in this call or a later one. epochs[k] is the caller's
-- number for the epoch of the k-th append: once an append of an epoch did not end as decided, later ones of that epoch fall. A question
-- asks for the last state of a stream and, unless its command is NULL, for that command's events.
--
-- Reply, few rows whatever the size of the batch:
--   kind 0, one row: version = the batch's first position, position = the head afterwards, recorded_at = the batch's time
--   kind 1, per append that was not simply appended: ordinal = which, outcome =
--           'appended' (position = that of its last event; the others, without a row, follow the first position in their order),
--           'exact', 'already', 'reused' (with its command's recorded events), 'conflict' (version = the stream's), 'felled'
--   kind 2, per question: ordinal = which, version and event_id = the last state of the stream, 0 and NULL where there is none
--   kind 3 and 4, a recorded event of the command in row 1 or 2 of the same ordinal, in order of version
--
-- What is hashed, byte for byte, whatever a session's settings (bytes are concatenated; || below; integers are big-endian):
--   root  = sha256 over the batch's events in order of position of: event_id (16 bytes) || length of d (4 bytes) || d,
--           where d is the UTF-8 of data as Postgres prints it (data::text)
--   chain = sha256(the previous batch's chain (32 bytes) || root (32 bytes) || batch || first position || last position || recorded_at),
--           each of the four 8 bytes, recorded_at in microseconds since 1970-01-01 UTC; before the first batch stand 32 zero bytes
--
-- Errors: JI001 arguments that make no sense, JF001 the silo is fenced, JA001 a later attempt of this silo's writer has begun; whatever a
-- column's type or constraint refuses. After an error nothing is written.
--
-- READ COMMITTED and VOLATILE: each statement sees what was committed before it began. So the lock is a statement of its own, and whatever
-- looks at the record comes after it; in one statement with the lock it would see the record as it was before the wait.
CREATE OR REPLACE FUNCTION journal.append(
    silo text,
    attempt bigint,
    counts integer[],
    epochs integer[],
    stream_ids text[],
    versions bigint[],
    previous_ids uuid[],
    event_ids uuid[],
    event_types text[],
    schema_versions smallint[],
    event_data jsonb[],
    event_metadata jsonb[],
    question_streams text[],
    question_commands uuid[])
RETURNS TABLE (
    kind smallint,
    ordinal integer,
    outcome text,
    "position" bigint,
    event_id uuid,
    stream_id text,
    version bigint,
    event_type text,
    schema_version smallint,
    data jsonb,
    metadata jsonb,
    recorded_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- The plans must not change under this function as the tables grow from nothing, nor be compiled: see docs/ARCHITECTURE.md.
SET jit = off
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    event_count CONSTANT integer := cardinality(event_ids);
    append_count CONSTANT integer := cardinality(counts);
    head record;
    writer record;
    batch_time timestamptz;
    last_position bigint;
    batch_root bytea;
    ignored text;
    careful boolean := false;
    troubled text[];
    next record;
    standing record;
    recorded_command uuid;
    ended_epochs integer[] := '{}';
BEGIN
    IF silo IS NULL OR attempt IS NULL OR attempt < 1 THEN
        RAISE EXCEPTION 'silo and attempt must be given, and attempts count from 1' USING ERRCODE = 'JI001';
    END IF;
    IF (append_count, cardinality(epochs), cardinality(question_commands), cardinality(stream_ids), cardinality(versions),
            cardinality(previous_ids), cardinality(event_types), cardinality(schema_versions), cardinality(event_data),
            cardinality(event_metadata))
        IS DISTINCT FROM (append_count, append_count, cardinality(question_streams), event_count, event_count,
            event_count, event_count, event_count, event_count,
            event_count)
        OR num_nulls(append_count, event_count, cardinality(question_streams)) > 0
    THEN
        RAISE EXCEPTION 'the arrays must be given and of the same lengths' USING ERRCODE = 'JI001';
    END IF;
    -- What is looked at by subscripts below must count from 1 and have one dimension.
    IF event_count > 0 AND (array_lower(counts, 1), array_lower(epochs, 1), array_lower(event_ids, 1), array_lower(stream_ids, 1),
            array_lower(versions, 1), array_lower(previous_ids, 1), array_lower(event_types, 1), array_lower(schema_versions, 1),
            array_lower(event_data, 1), array_lower(event_metadata, 1)) IS DISTINCT FROM (1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
        OR greatest(array_ndims(counts), array_ndims(epochs), array_ndims(event_ids), array_ndims(stream_ids),
            array_ndims(versions), array_ndims(previous_ids), array_ndims(event_types), array_ndims(schema_versions),
            array_ndims(event_data), array_ndims(event_metadata), array_ndims(question_streams), array_ndims(question_commands)) > 1
    THEN
        RAISE EXCEPTION 'the arrays must be plain lists' USING ERRCODE = 'JI001';
    END IF;
    IF num_nonnulls(array_position(epochs, NULL), array_position(stream_ids, NULL), array_position(versions, NULL),
            array_position(event_ids, NULL), array_position(event_types, NULL), array_position(schema_versions, NULL),
            array_position(event_data, NULL), array_position(event_metadata, NULL), array_position(question_streams, NULL)) > 0
    THEN
        RAISE EXCEPTION 'only previous ids and the commands of questions may be NULL' USING ERRCODE = 'JI001';
    END IF;
    -- Where each append has one event, as most have, nothing more is to be checked, and nothing is: every query here costs all that wait.
    IF counts IS DISTINCT FROM array_fill(1, ARRAY[event_count]) THEN
        IF (SELECT coalesce(sum(c), 0) <> event_count OR count(*) FILTER (WHERE c >= 1) < append_count FROM unnest(counts) c) THEN
            RAISE EXCEPTION 'the counts do not add up to the events' USING ERRCODE = 'JI001';
        END IF;
        -- The events of one append follow each other in one stream.
        IF EXISTS (
            SELECT FROM (
                SELECT u.stream_id, u.version, u.previous_id, lag(u.stream_id) OVER one AS stream_before,
                       lag(u.version) OVER one AS version_before, lag(u.event_id) OVER one AS id_before,
                       count(*) OVER (PARTITION BY u.append, u.event_id) AS copies
                FROM unnest(
                    (SELECT array_agg(a.ord ORDER BY a.ord) FROM unnest(counts) WITH ORDINALITY a (c, ord), generate_series(1, a.c)),
                    stream_ids, versions, previous_ids, event_ids)
                    WITH ORDINALITY u (append, stream_id, version, previous_id, event_id, ord)
                WINDOW one AS (PARTITION BY u.append ORDER BY u.ord)) chained
            WHERE copies > 1 OR (version_before IS NOT NULL
                AND (stream_id, version, previous_id) IS DISTINCT FROM (stream_before, version_before + 1, id_before)))
        THEN
            RAISE EXCEPTION 'the events of an append must follow each other in one stream' USING ERRCODE = 'JI001';
        END IF;
    END IF;

    -- Held until the end of the transaction: from here on nobody else writes, and what is seen stays true.
    SELECT h.position, h.batch, h.chain, h.recorded_at INTO STRICT head FROM journal.head h WHERE h.singleton FOR NO KEY UPDATE;

    -- After the lock: an old attempt, or a silo that has been fenced, may have waited for it.
    SELECT w.attempt, w.fenced_at INTO writer FROM journal.writers w WHERE w.silo = append.silo;
    IF writer.fenced_at IS NOT NULL THEN
        RAISE EXCEPTION 'silo % was fenced at %', silo, writer.fenced_at USING ERRCODE = 'JF001';
    END IF;
    IF writer.attempt > attempt THEN
        RAISE EXCEPTION 'attempt % of silo % has been superseded by attempt %', attempt, silo, writer.attempt USING ERRCODE = 'JA001';
    END IF;
    IF writer.attempt IS DISTINCT FROM attempt THEN
        INSERT INTO journal.writers AS w (silo, attempt) VALUES (append.silo, append.attempt)
        ON CONFLICT (silo) DO UPDATE SET attempt = excluded.attempt;
    END IF;

    -- Time never falls along positions, whatever the clock does.
    batch_time := greatest(clock_timestamp(), head.recorded_at);
    last_position := head.position;

    IF event_count > 0 THEN
        -- The cheap path: write everything, then look once per event whether its predecessor stands before it. The unique indexes do
        -- the rest: of two events with one version, one id or one predecessor, one is refused. By subscripts: PL/pgSQL keeps arrays
        -- unfolded, where any element is found at once, while unnest in FROM copies every row through a store of tuples.
        BEGIN
            INSERT INTO journal.events (
                position, event_id, stream_id, version, event_type, schema_version, slot, data, metadata, recorded_at)
            SELECT head.position + i, event_ids[i], stream_ids[i], versions[i], event_types[i], schema_versions[i],
                   journal.slot(stream_ids[i]), event_data[i], event_metadata[i], batch_time
            FROM generate_series(1, event_count) i;

            IF EXISTS (
                SELECT FROM generate_series(1, event_count) i
                WHERE CASE WHEN previous_ids[i] IS NULL THEN versions[i] <> 1
                    ELSE (
                        SELECT p.stream_id = stream_ids[i] AND p.version = versions[i] - 1 AND p.position < head.position + i
                        FROM journal.events p WHERE p.event_id = previous_ids[i]) IS NOT TRUE
                    END)
            THEN
                RAISE EXCEPTION 'an event has no predecessor' USING ERRCODE = 'JP001';
            END IF;
            last_position := head.position + event_count;
        EXCEPTION WHEN unique_violation OR SQLSTATE 'JP001' THEN
            careful := true;
        END;
    END IF;

    IF careful THEN
        -- Which streams made the trouble: an id that exists or comes twice, an append that does not stand on the last state of its stream,
        -- or on the append before it. Where none is found, whatever refused it above refuses it below.
        SELECT coalesce(array_agg(DISTINCT u.stream_id), '{}') INTO troubled
        FROM (
            SELECT b.stream_id, b.version, b.previous_id, b.event_id, count(*) OVER (PARTITION BY b.event_id) AS copies,
                   lag(b.version) OVER stream AS version_before, lag(b.event_id) OVER stream AS id_before
            FROM unnest(stream_ids, versions, previous_ids, event_ids)
                WITH ORDINALITY b (stream_id, version, previous_id, event_id, ord)
            WINDOW stream AS (PARTITION BY b.stream_id ORDER BY b.ord)) u
        WHERE u.copies > 1
            -- One look-up each. An EXISTS beside an OR may be planned as a hash of all ids, which a plan from an empty table then reads.
            OR (SELECT true FROM journal.events e WHERE e.event_id = u.event_id)
            OR CASE WHEN u.version_before IS NULL
                THEN coalesce(
                    (SELECT (last.version, last.event_id) IS DISTINCT FROM (u.version - 1, u.previous_id)
                     FROM journal.events last WHERE last.stream_id = u.stream_id ORDER BY last.version DESC LIMIT 1),
                    u.version <> 1 OR u.previous_id IS NOT NULL)
                ELSE (u.version, u.previous_id) IS DISTINCT FROM (u.version_before + 1, u.id_before)
                END;

        INSERT INTO journal.events (position, event_id, stream_id, version, event_type, schema_version, slot, data, metadata, recorded_at)
        SELECT head.position + row_number() OVER (ORDER BY u.ord), u.event_id, u.stream_id, u.version, u.event_type, u.schema_version,
               journal.slot(u.stream_id), u.data, u.metadata, batch_time
        FROM unnest(event_ids, stream_ids, versions, event_types, schema_versions, event_data, event_metadata)
            WITH ORDINALITY u (event_id, stream_id, version, event_type, schema_version, data, metadata, ord)
        WHERE u.stream_id <> ALL (troubled);
        GET DIAGNOSTICS last_position = ROW_COUNT;
        last_position := head.position + last_position;

        -- The troubled streams, append by append: each sees what those before it have done.
        FOR next IN
            SELECT a.ord::integer AS ordinal, a.epoch, a.c AS count, a.start, a.start + a.c - 1 AS stop,
                   stream_ids[a.start] AS stream_id, versions[a.start] - 1 AS expected_version, previous_ids[a.start] AS expected_id,
                   event_ids[a.start] AS command, event_metadata[a.start] ->> 'hash' AS hash
            FROM (
                SELECT c, epoch, ord, (sum(c) OVER (ORDER BY ord) - c + 1)::integer AS start
                FROM unnest(counts, epochs) WITH ORDINALITY b (c, epoch, ord)) a
            WHERE stream_ids[a.start] = ANY (troubled)
            ORDER BY a.ord
        LOOP
            kind := 1;
            ordinal := next.ordinal;
            outcome := NULL;
            position := NULL;
            version := NULL;
            recorded_command := NULL;

            -- Idempotency comes first: what was done is answered as done, whatever has come after it.
            SELECT e.event_id, e.stream_id, e.version, e.metadata ->> 'hash' AS hash, e.metadata ->> 'command' AS command INTO standing
            FROM journal.events e WHERE e.event_id = ANY (event_ids[next.start:next.stop])
            ORDER BY e.event_id <> next.command LIMIT 1;
            IF FOUND THEN
                recorded_command := standing.event_id;
                outcome := CASE
                    WHEN (standing.event_id, standing.stream_id, standing.hash, standing.command)
                        IS DISTINCT FROM (next.command, next.stream_id, next.hash, NULL) THEN 'reused'
                    WHEN EXISTS (
                            SELECT FROM unnest(event_ids[next.start:next.stop], versions[next.start:next.stop],
                                event_types[next.start:next.stop], schema_versions[next.start:next.stop], event_data[next.start:next.stop])
                                u (event_id, version, event_type, schema_version, data)
                            WHERE NOT EXISTS (
                                SELECT FROM journal.events e
                                WHERE e.event_id = u.event_id AND e.stream_id = next.stream_id AND e.version = u.version
                                    AND e.event_type = u.event_type AND e.schema_version = u.schema_version AND e.data = u.data))
                        OR (SELECT count(*) FROM journal.events_of_command(recorded_command)) <> next.count
                        -- On another history, after a restore, it is not what this activation has decided on.
                        OR (SELECT e.event_id FROM journal.events e
                            WHERE e.stream_id = next.stream_id AND e.version = next.expected_version)
                            IS DISTINCT FROM next.expected_id THEN 'already'
                    ELSE 'exact'
                    END;
            ELSIF next.epoch = ANY (ended_epochs) THEN
                outcome := 'felled';
            ELSE
                SELECT e.version, e.event_id INTO standing
                FROM journal.events e WHERE e.stream_id = next.stream_id ORDER BY e.version DESC LIMIT 1;
                IF (coalesce(standing.version, 0), standing.event_id) IS DISTINCT FROM (next.expected_version, next.expected_id) THEN
                    outcome := 'conflict';
                    version := coalesce(standing.version, 0);
                ELSE
                    INSERT INTO journal.events (
                        position, event_id, stream_id, version, event_type, schema_version, slot, data, metadata, recorded_at)
                    SELECT last_position + u.ord, u.event_id, next.stream_id, u.version, u.event_type, u.schema_version,
                           journal.slot(next.stream_id), u.data, u.metadata, batch_time
                    FROM unnest(event_ids[next.start:next.stop], versions[next.start:next.stop], event_types[next.start:next.stop],
                            schema_versions[next.start:next.stop], event_data[next.start:next.stop], event_metadata[next.start:next.stop])
                        WITH ORDINALITY u (event_id, version, event_type, schema_version, data, metadata, ord);
                    last_position := last_position + next.count;
                    outcome := 'appended';
                    position := last_position;
                END IF;
            END IF;

            RETURN NEXT;
            IF outcome NOT IN ('appended', 'exact') THEN
                ended_epochs := ended_epochs || next.epoch;
            END IF;
            IF recorded_command IS NOT NULL THEN
                RETURN QUERY
                SELECT 3::smallint, next.ordinal, NULL, e.position, e.event_id, e.stream_id, e.version, e.event_type,
                       e.schema_version, e.data, e.metadata, e.recorded_at
                FROM journal.events_of_command(recorded_command) e ORDER BY e.version;
            END IF;
        END LOOP;
    END IF;

    IF last_position > head.position THEN
        -- Read back what lies in the table: that is what is vouched for.
        -- An aggregate reads a sorted subquery in its order; one with an order of its own would sort what the index gives sorted.
        SELECT sha256(string_agg(uuid_send(e.event_id) || int4send(octet_length(e.d)) || e.d, NULL)) INTO batch_root
        FROM (
            SELECT e.event_id, convert_to(e.data::text, 'UTF8') AS d
            FROM journal.events e WHERE e.position > head.position AND e.position <= last_position ORDER BY e.position) e;
        head.batch := head.batch + 1;
        head.chain := sha256(head.chain || batch_root || int8send(head.batch) || int8send(head.position + 1) || int8send(last_position)
            || int8send((extract(epoch FROM batch_time) * 1000000)::bigint));
        INSERT INTO journal.batches (batch, first_position, last_position, recorded_at, format, root, chain)
        VALUES (head.batch, head.position + 1, last_position, batch_time, 1, batch_root, head.chain);
        -- Assignments: a PERFORM is a query with a plan to start.
        ignored := set_config('journal.procedure', 'journal.append', true);
        UPDATE journal.head h SET position = last_position, batch = head.batch, chain = head.chain, recorded_at = batch_time
        WHERE h.singleton;
        ignored := set_config('journal.procedure', '', true);
        -- Wakes whoever tails the record, once per batch. Notifications queue for a lock of the whole server as they commit, which is held
        -- no longer than that of the head.
        ignored := pg_notify('journal', last_position::text);
    END IF;

    kind := 0;
    ordinal := NULL;
    outcome := NULL;
    version := head.position + 1;
    position := last_position;
    recorded_at := batch_time;
    RETURN NEXT;

    IF cardinality(question_streams) > 0 THEN
        RETURN QUERY
        SELECT 2::smallint, q.ord::integer, NULL, NULL::bigint, last.event_id, q.stream_id, coalesce(last.version, 0), NULL,
               NULL::smallint, NULL::jsonb, NULL::jsonb, NULL::timestamptz
        FROM unnest(question_streams) WITH ORDINALITY q (stream_id, ord)
        LEFT JOIN LATERAL (
            SELECT e.version, e.event_id FROM journal.events e WHERE e.stream_id = q.stream_id ORDER BY e.version DESC LIMIT 1
        ) last ON true;

        RETURN QUERY
        SELECT 4::smallint, q.ord::integer, NULL, e.position, e.event_id, e.stream_id, e.version, e.event_type,
               e.schema_version, e.data, e.metadata, e.recorded_at
        FROM unnest(question_commands) WITH ORDINALITY q (command, ord), journal.events_of_command(q.command) e
        ORDER BY q.ord, e.version;
    END IF;
END
$$;

REVOKE ALL ON FUNCTION journal.append FROM PUBLIC;
GRANT EXECUTE ON FUNCTION journal.append TO bank_app;
