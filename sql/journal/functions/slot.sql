-- The slot of a stream, 0 to 255: the first byte of the SHA-256 of its id's UTF-8. Stable for ever: partitions are ranges of slots.
CREATE OR REPLACE FUNCTION journal.slot(stream_id text) RETURNS smallint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN get_byte(sha256(convert_to(stream_id, 'UTF8')), 0)::smallint;
