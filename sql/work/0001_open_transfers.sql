-- What the watchdog knows of transfers that have not ended: a fold of the journal with a checkpoint of its own. No part of the record:
-- empty both tables, and it is folded anew.

CREATE TABLE work.checkpoints (
    name text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    CONSTRAINT checkpoints_name PRIMARY KEY (name)
);

INSERT INTO work.checkpoints (name, position) VALUES ('open_transfers', 0);

CREATE TABLE work.open_transfers (
    transfer_id uuid NOT NULL,
    phase text NOT NULL,
    position bigint NOT NULL,
    last_step_at timestamptz NOT NULL,
    resumed_at timestamptz,
    CONSTRAINT open_transfers_transfer_id PRIMARY KEY (transfer_id)
) WITH (
    -- Rows come and go by the thousand, and the table is nearly empty at any time.
    fillfactor = 50,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0
);

CREATE INDEX open_transfers_last_step_at ON work.open_transfers (last_step_at);

GRANT SELECT, UPDATE ON work.checkpoints TO bank_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON work.open_transfers TO bank_app;
