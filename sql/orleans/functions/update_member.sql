-- Changes what the cluster holds of a silo (its status, the votes against it) if the table is still at the version on which that was
-- decided, and tells whether it did. The order of the steps, and why each is a statement of its own: see insert_member.
CREATE OR REPLACE FUNCTION orleans.update_member(
    of_cluster text, expected_version integer, of_address text, of_port integer, of_generation integer,
    its_status integer, its_suspect_times text, its_sign_of_life timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE AS $function$
BEGIN
    PERFORM FROM orleans.clusters WHERE cluster_id = of_cluster AND version = expected_version FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;

    -- A vote against a silo carries the sign of life that the voter had read; the silo itself may have given a later one since, outside
    -- the version, and the vote must not take it back.
    UPDATE orleans.members
    SET status = its_status, suspect_times = its_suspect_times, alive_at = greatest(alive_at, its_sign_of_life)
    WHERE cluster_id = of_cluster AND address = of_address AND port = of_port AND generation = of_generation;
    IF NOT FOUND THEN
        RETURN false;
    END IF;

    UPDATE orleans.clusters SET version = version + 1 WHERE cluster_id = of_cluster;
    RETURN true;
END
$function$;

REVOKE EXECUTE ON FUNCTION orleans.update_member FROM PUBLIC;
GRANT EXECUTE ON FUNCTION orleans.update_member TO bank_app;
