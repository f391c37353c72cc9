-- Adds a silo to its cluster if the table is still at the version on which that was decided, and tells whether it did.
--
-- Each step is a statement of its own, so at READ COMMITTED it sees what was committed when it began: whoever waits for the lock
-- looks at the version that the winner left, finds another one than it expects, and returns false having written nothing. All changes
-- of members come through this lock first, so they are in one order and cannot deadlock.
CREATE OR REPLACE FUNCTION orleans.insert_member(
    of_cluster text, expected_version integer, of_address text, of_port integer, of_generation integer,
    its_name text, its_host text, its_status integer, its_gateway_port integer, its_start timestamptz, its_sign_of_life timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE AS $function$
BEGIN
    PERFORM FROM orleans.clusters WHERE cluster_id = of_cluster AND version = expected_version FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;

    -- A silo that is known already, perhaps as dead, must not come in a second time.
    INSERT INTO orleans.members (cluster_id, address, port, generation, silo_name, host_name, status, gateway_port, started_at, alive_at)
    VALUES (of_cluster, of_address, of_port, of_generation, its_name, its_host, its_status, its_gateway_port, its_start, its_sign_of_life)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;

    UPDATE orleans.clusters SET version = version + 1 WHERE cluster_id = of_cluster;
    RETURN true;
END
$function$;

REVOKE EXECUTE ON FUNCTION orleans.insert_member FROM PUBLIC;
GRANT EXECUTE ON FUNCTION orleans.insert_member TO bank_app;
