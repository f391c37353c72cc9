-- Fences silos for good: after this has committed, no append of theirs is accepted. Returns those that were not fenced before.
-- Under the head lock, so that an append of such a silo is either committed before, and seen by whoever loads afterwards, or refused.
CREATE OR REPLACE FUNCTION journal.fence(silos text[]) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF silos IS NULL OR array_position(silos, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'silos must be given, none of them NULL' USING ERRCODE = 'JI001';
    END IF;

    PERFORM FROM journal.head h WHERE h.singleton FOR NO KEY UPDATE;

    RETURN QUERY
    INSERT INTO journal.writers AS w (silo, attempt, fenced_at)
    SELECT d.s, 0, clock_timestamp() FROM (SELECT DISTINCT s FROM unnest(silos) s) d
    ON CONFLICT (silo) DO UPDATE SET fenced_at = excluded.fenced_at WHERE w.fenced_at IS NULL
    RETURNING w.silo;
END
$$;

REVOKE ALL ON FUNCTION journal.fence FROM PUBLIC;
GRANT EXECUTE ON FUNCTION journal.fence TO bank_app;
