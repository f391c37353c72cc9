-- All events of the command that an event belongs to, whichever of them is named; no rows where there is no such event. They were appended
-- together, so they follow each other in one stream, and their metadata says which of how many each one is. Inlined where it is used.
CREATE OR REPLACE FUNCTION journal.events_of_command(event_id uuid) RETURNS SETOF journal.events
LANGUAGE sql STABLE
AS $$
    SELECT e.*
    FROM (
        SELECT f.stream_id, f.version + 1 - coalesce((f.metadata ->> 'n')::integer, 1) AS start,
               coalesce((f.metadata ->> 'of')::integer, 1) AS count
        FROM journal.events f WHERE f.event_id = $1) command
    JOIN journal.events e
        ON e.stream_id = command.stream_id AND e.version >= command.start AND e.version < command.start + command.count
$$;

REVOKE ALL ON FUNCTION journal.events_of_command FROM PUBLIC;
GRANT EXECUTE ON FUNCTION journal.events_of_command TO bank_app;
