-- Reminders: timers that outlive every silo. Each silo owns a range of the ring of grain hashes and reads the reminders of its range.
CREATE TABLE orleans.reminders (
    service_id text        NOT NULL,
    grain_id   text        NOT NULL,
    name       text        NOT NULL,
    grain_hash integer     NOT NULL,  -- the place on the ring, an unsigned 32-bit number kept in the bits of a signed one
    start_at   timestamptz NOT NULL,
    period_ms  bigint      NOT NULL,
    version    integer     NOT NULL DEFAULT nextval('orleans.row_version'),
    PRIMARY KEY (service_id, grain_id, name)
);
CREATE INDEX reminders_by_ring ON orleans.reminders (service_id, grain_hash);

GRANT SELECT, INSERT, UPDATE, DELETE ON orleans.reminders TO bank_app;

INSERT INTO orleans.orleansquery (querykey, querytext) VALUES

('ReadReminderRowsKey', $query$
SELECT grain_id AS "GrainId", name AS "ReminderName", start_at AS "StartTime", period_ms AS "Period", version AS "Version"
FROM orleans.reminders
WHERE service_id = @ServiceId AND grain_id = @GrainId
$query$),

('ReadReminderRowKey', $query$
SELECT grain_id AS "GrainId", name AS "ReminderName", start_at AS "StartTime", period_ms AS "Period", version AS "Version"
FROM orleans.reminders
WHERE service_id = @ServiceId AND grain_id = @GrainId AND name = @ReminderName
$query$),

-- A range of the ring is open at its begin and closed at its end. Signed numbers go round the same circle as the unsigned ones and
-- only have their seam elsewhere, and the provider picks the text by the signed order: this one where the range does not cross
-- that seam, the next one where it does. A range whose begin is its end is the whole ring, and falls to the next one, too.
('ReadRangeRows1Key', $query$
SELECT grain_id AS "GrainId", name AS "ReminderName", start_at AS "StartTime", period_ms AS "Period", version AS "Version"
FROM orleans.reminders
WHERE service_id = @ServiceId AND grain_hash > @BeginHash AND grain_hash <= @EndHash
$query$),

('ReadRangeRows2Key', $query$
SELECT grain_id AS "GrainId", name AS "ReminderName", start_at AS "StartTime", period_ms AS "Period", version AS "Version"
FROM orleans.reminders
WHERE service_id = @ServiceId AND (grain_hash > @BeginHash OR grain_hash <= @EndHash)
$query$),

-- Last registration wins, and whoever holds an earlier version can no longer remove the reminder with it.
('UpsertReminderRowKey', $query$
INSERT INTO orleans.reminders AS r (service_id, grain_id, name, grain_hash, start_at, period_ms)
VALUES (@ServiceId, @GrainId, @ReminderName, @GrainHash, @StartTime, @Period)
ON CONFLICT (service_id, grain_id, name) DO UPDATE
SET grain_hash = excluded.grain_hash, start_at = excluded.start_at, period_ms = excluded.period_ms, version = excluded.version
RETURNING r.version AS "Version"
$query$),

('DeleteReminderRowKey', $query$
WITH removed AS (
    DELETE FROM orleans.reminders
    WHERE service_id = @ServiceId AND grain_id = @GrainId AND name = @ReminderName AND version = @Version
    RETURNING version
)
SELECT EXISTS (SELECT FROM removed)
$query$),

('DeleteReminderRowsKey', $query$
DELETE FROM orleans.reminders WHERE service_id = @ServiceId
$query$);
