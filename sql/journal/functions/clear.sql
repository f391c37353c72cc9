-- Deletes a stream and its snapshots, where the owner has listed the stream's type in journal.clearable_stream_types. Meant for streams
-- that are no part of a record. Positions of what was deleted stay unused, and the roots of its batches no longer recompute.
CREATE OR REPLACE FUNCTION journal.clear(stream_id text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    deleted bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM journal.clearable_stream_types t WHERE t.stream_type = split_part(clear.stream_id, '-', 1)) THEN
        RAISE EXCEPTION 'streams of the type "%" may not be cleared', split_part(clear.stream_id, '-', 1) USING ERRCODE = 'JC001',
            HINT = 'The owner of the database grants it in journal.clearable_stream_types.';
    END IF;

    -- Like an append: what is deleted must not grow meanwhile.
    PERFORM FROM journal.head h WHERE h.singleton FOR NO KEY UPDATE;

    PERFORM set_config('journal.procedure', 'journal.clear', true);
    DELETE FROM journal.events e WHERE e.stream_id = clear.stream_id;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    PERFORM set_config('journal.procedure', '', true);
    DELETE FROM journal.snapshots s WHERE s.stream_id = clear.stream_id;
    RETURN deleted;
END
$$;

REVOKE ALL ON FUNCTION journal.clear FROM PUBLIC;
GRANT EXECUTE ON FUNCTION journal.clear TO bank_app;
