-- What projections know of themselves. All of it is disposable: without a row here a projection begins again from position 0. The tables of
-- the read models are made by bank_app itself, one set per generation (<table>_<generation>), under views that show the serving one.

CREATE TABLE readmodel.projections (
    name text COLLATE "C" NOT NULL,
    -- The last number that was given: numbers never come again, so that a late writer cannot meet tables of another fill.
    last_generation integer NOT NULL DEFAULT 0,
    paused boolean NOT NULL DEFAULT false,
    CONSTRAINT projections_name PRIMARY KEY (name),
    CONSTRAINT projections_name_form CHECK (name ~ '^[a-z][a-z0-9_]{0,39}$')
);

-- One fill of a read model: the serving one, and while a rebuild runs the one that will serve after it.
CREATE TABLE readmodel.generations (
    projection text COLLATE "C" NOT NULL,
    generation integer NOT NULL,
    fold_version integer NOT NULL,
    partitions integer NOT NULL,
    serving boolean NOT NULL,
    tables text[] NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT generations_generation PRIMARY KEY (projection, generation),
    CONSTRAINT generations_projection FOREIGN KEY (projection) REFERENCES readmodel.projections
);

CREATE UNIQUE INDEX generations_serving ON readmodel.generations (projection, serving);

-- The last position that a partition has durably handled, with the event that lay there: a journal that was restored and has grown again
-- can have the position and another history.
CREATE TABLE readmodel.checkpoints (
    projection text COLLATE "C" NOT NULL,
    generation integer NOT NULL,
    partition integer NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    event_id uuid,
    parked_position bigint,
    parked_reason text,
    parked_at timestamptz,
    CONSTRAINT checkpoints_partition PRIMARY KEY (projection, generation, partition),
    CONSTRAINT checkpoints_generation FOREIGN KEY (projection, generation) REFERENCES readmodel.generations ON DELETE CASCADE,
    CONSTRAINT checkpoints_parked CHECK (num_nulls(parked_position, parked_reason, parked_at) IN (0, 3))
) WITH (
    -- Updated by every batch of every partition: room for HOT versions.
    fillfactor = 10,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0
);

GRANT CREATE ON SCHEMA readmodel TO bank_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON readmodel.projections, readmodel.generations, readmodel.checkpoints TO bank_app;
