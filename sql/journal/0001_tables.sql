-- The record: streams of events with one global order. Only journal.append writes events, batches and head
-- (see docs/ARCHITECTURE.md); what bank_app may do here is granted at the end of this file.

-- Streams and names compare by their bytes: quicker than by a language, and an index that a new collation library cannot break.
CREATE TABLE journal.events (
    position bigint NOT NULL,
    event_id uuid NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    schema_version smallint NOT NULL,
    slot smallint NOT NULL,
    data jsonb NOT NULL,
    metadata jsonb NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT events_position PRIMARY KEY (position),
    CONSTRAINT events_stream_version UNIQUE (stream_id, version),
    CONSTRAINT events_event_id UNIQUE (event_id),
    CONSTRAINT events_position_positive CHECK (position > 0),
    CONSTRAINT events_stream_id_length CHECK (length(stream_id) BETWEEN 1 AND 200),
    CONSTRAINT events_version_positive CHECK (version > 0),
    CONSTRAINT events_event_type_length CHECK (length(event_type) BETWEEN 1 AND 100),
    CONSTRAINT events_schema_version_positive CHECK (schema_version > 0),
    CONSTRAINT events_slot_range CHECK (slot BETWEEN 0 AND 255),
    CONSTRAINT events_metadata_object CHECK (jsonb_typeof(metadata) = 'object')
) WITH (
    -- Rows never change, so pages are filled. Vacuum has nothing to remove: it freezes and marks pages all-visible, in small steps
    -- as the table grows, instead of in one storm when the transaction ids run low; analyze keeps up with the head.
    fillfactor = 100,
    autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_analyze_threshold = 10000,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

-- One row per append transaction that wrote something. What root and chain hash is written down in functions/append.sql.
CREATE TABLE journal.batches (
    batch bigint NOT NULL,
    first_position bigint NOT NULL,
    last_position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    format smallint NOT NULL,
    root bytea NOT NULL,
    chain bytea NOT NULL,
    CONSTRAINT batches_batch PRIMARY KEY (batch),
    CONSTRAINT batches_first_position UNIQUE (first_position),
    CONSTRAINT batches_bounds CHECK (batch > 0 AND first_position > 0 AND last_position >= first_position),
    CONSTRAINT batches_root_length CHECK (octet_length(root) = 32),
    CONSTRAINT batches_chain_length CHECK (octet_length(chain) = 32)
) WITH (
    fillfactor = 100,
    autovacuum_vacuum_insert_threshold = 10000,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

-- The one row whose lock orders all appends.
CREATE TABLE journal.head (
    singleton boolean NOT NULL DEFAULT true,
    position bigint NOT NULL,
    batch bigint NOT NULL,
    chain bytea NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT head_singleton PRIMARY KEY (singleton),
    CONSTRAINT head_is_one_row CHECK (singleton),
    CONSTRAINT head_chain_length CHECK (octet_length(chain) = 32)
) WITH (
    -- Updated by every batch: room for HOT versions on its page, which pruning takes back without a vacuum.
    fillfactor = 10,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0
);

INSERT INTO journal.head (position, batch, chain, recorded_at)
VALUES (0, 0, decode(repeat('00', 32), 'hex'), '1970-01-01T00:00:00Z');

-- The attempt of each silo's writer, and which silos may not write any more.
CREATE TABLE journal.writers (
    silo text COLLATE "C" NOT NULL,
    attempt bigint NOT NULL,
    fenced_at timestamptz,
    CONSTRAINT writers_silo PRIMARY KEY (silo),
    CONSTRAINT writers_silo_length CHECK (length(silo) BETWEEN 1 AND 300),
    CONSTRAINT writers_attempt_not_negative CHECK (attempt >= 0)
);

-- A disposable cache of folds: whoever reads one checks its checksum, and its event id against the journal.
CREATE TABLE journal.snapshots (
    stream_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    event_id uuid NOT NULL,
    fold_version integer NOT NULL,
    data bytea NOT NULL,
    checksum bytea NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT snapshots_state PRIMARY KEY (stream_id, fold_version, version)
);

-- The types of streams (a stream's id up to the first '-') that the owner lets journal.clear delete. Empty: nothing is ever deleted.
CREATE TABLE journal.clearable_stream_types (
    stream_type text COLLATE "C" NOT NULL,
    CONSTRAINT clearable_stream_types_stream_type PRIMARY KEY (stream_type)
);

REVOKE ALL ON ALL TABLES IN SCHEMA journal FROM PUBLIC;
GRANT SELECT ON journal.events, journal.batches, journal.head, journal.writers, journal.clearable_stream_types TO bank_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON journal.snapshots TO bank_app;
