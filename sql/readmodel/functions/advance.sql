-- Moves the checkpoint of a partition, as the first statement of the transaction that writes the rows. Only from where the caller believes
-- it to be: of two activations that apply the same events the second one waits here for the first one's end, finds the checkpoint moved
-- (READ COMMITTED looks at the row again after the wait), fails with RC001, and its rows with it. So does whoever has not heard that the
-- partition is parked, the projection paused, or the generation gone.
CREATE OR REPLACE FUNCTION readmodel.advance(
    projection text, generation integer, partition integer, from_position bigint, to_position bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET jit = off
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
BEGIN
    UPDATE readmodel.checkpoints c
    SET position = to_position, event_id = (SELECT e.event_id FROM journal.events e WHERE e.position = to_position)
    WHERE c.projection = advance.projection AND c.generation = advance.generation AND c.partition = advance.partition
        AND c.position = from_position AND c.parked_position IS NULL
        AND NOT (SELECT p.paused FROM readmodel.projections p WHERE p.name = advance.projection)
        -- Whoever has read further has read a journal that was restored since.
        AND to_position <= (SELECT h.position FROM journal.head h);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % of generation % of % does not stand at position %, or stands still',
            partition, generation, projection, from_position USING ERRCODE = 'RC001';
    END IF;
END
$$;

REVOKE ALL ON FUNCTION readmodel.advance FROM PUBLIC;
GRANT EXECUTE ON FUNCTION readmodel.advance TO bank_app;
