-- Up to which position the tables that serve are filled; of one partition, or (NULL) of all. STABLE: inside a query it sees what the query
-- sees, so the answer belongs to the rows beside it.
CREATE OR REPLACE FUNCTION readmodel.as_of(projection text, partition integer) RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
RETURN (
    SELECT min(c.position)
    FROM readmodel.generations g JOIN readmodel.checkpoints c ON c.projection = g.projection AND c.generation = g.generation
    WHERE g.projection = as_of.projection AND g.serving AND c.partition = coalesce(as_of.partition, c.partition));

REVOKE ALL ON FUNCTION readmodel.as_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION readmodel.as_of TO bank_app;
