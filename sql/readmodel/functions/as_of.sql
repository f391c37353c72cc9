-- Up to which position the tables that serve are filled; of one of so many partitions, or (NULL) of all: so, too, where they were filled by
-- another number of partitions. STABLE: inside a query it sees what the query sees, so the answer belongs to the rows beside it. PL/pgSQL
-- keeps the plan, where a function in SQL would be planned again for every page.
CREATE OR REPLACE FUNCTION readmodel.as_of(projection text, partition integer, partitions integer) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT min(c.position)
        FROM readmodel.generations g JOIN readmodel.checkpoints c ON c.projection = g.projection AND c.generation = g.generation
        WHERE g.projection = as_of.projection AND g.serving
            AND (as_of.partition IS NULL OR g.partitions <> as_of.partitions OR c.partition = as_of.partition));
END
$$;

REVOKE ALL ON FUNCTION readmodel.as_of(text, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION readmodel.as_of(text, integer, integer) TO bank_app;
