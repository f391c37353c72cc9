-- Grain storage: the state of grains that are not journaled, such as the stream subscriptions of the PubSubStore.
--
-- The key is the grain's type (with the name of the state) and its id: 128 bits of number and a text, of which either may be empty.
-- A grain type has keys of one kind, so an absent text and an empty one never meet. The 32-bit hashes that the provider also sends
-- are for databases that cannot index the texts themselves, and go unused. The provider's name is no part of its calls: one
-- state of one grain belongs to one named store.
CREATE TABLE orleans.grain_states (
    service_id text    NOT NULL,
    grain_type text    NOT NULL,
    key_n0     bigint  NOT NULL,
    key_n1     bigint  NOT NULL,
    key_text   text    NOT NULL,
    payload    bytea,            -- null: cleared; the row stays, because the grain goes on with the version of the clearing
    version    integer NOT NULL DEFAULT nextval('orleans.row_version'),
    PRIMARY KEY (service_id, grain_type, key_n0, key_n1, key_text)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON orleans.grain_states TO bank_app;

-- Two activations of one grain may exist while the membership changes, and both may write. The version is compared in the statement
-- that writes: an UPDATE that waited for another one's row lock looks at the version again before it goes on (READ COMMITTED), and an
-- INSERT that waited for another one's key does nothing. Whoever lost gets no row, which the provider reports as an
-- InconsistentStateException; that ends the activation, and the next one reads what the winner wrote.
INSERT INTO orleans.orleansquery (querykey, querytext) VALUES

('ReadFromStorageKey', $query$
SELECT payload AS "PayloadBinary", version AS "Version"
FROM orleans.grain_states
WHERE service_id = @ServiceId AND grain_type = @GrainTypeString
  AND key_n0 = @GrainIdN0 AND key_n1 = @GrainIdN1 AND key_text = coalesce(@GrainIdExtensionString, '')
$query$),

-- A grain that holds no version has read that there is no row, and may only create it; one that holds a version may only replace
-- that one. A row that is gone is not written again by whoever knew it.
('WriteToStorageKey', $query$
WITH created AS (
    INSERT INTO orleans.grain_states (service_id, grain_type, key_n0, key_n1, key_text, payload)
    SELECT @ServiceId, @GrainTypeString, @GrainIdN0, @GrainIdN1, coalesce(@GrainIdExtensionString, ''), @PayloadBinary
    WHERE @GrainStateVersion IS NULL
    ON CONFLICT DO NOTHING
    RETURNING version
), replaced AS (
    UPDATE orleans.grain_states SET payload = @PayloadBinary, version = nextval('orleans.row_version')
    WHERE service_id = @ServiceId AND grain_type = @GrainTypeString
      AND key_n0 = @GrainIdN0 AND key_n1 = @GrainIdN1 AND key_text = coalesce(@GrainIdExtensionString, '')
      AND version = @GrainStateVersion
    RETURNING version
)
SELECT version AS "NewGrainStateVersion" FROM created
UNION ALL
SELECT version FROM replaced
$query$),

('ClearStorageKey', $query$
UPDATE orleans.grain_states SET payload = NULL, version = nextval('orleans.row_version')
WHERE service_id = @ServiceId AND grain_type = @GrainTypeString
  AND key_n0 = @GrainIdN0 AND key_n1 = @GrainIdN1 AND key_text = coalesce(@GrainIdExtensionString, '')
  AND version = @GrainStateVersion
RETURNING version AS "NewGrainStateVersion"
$query$),

-- The provider wants a version other than the one it sent as the sign of success, and then forgets it: 0 is never one.
('DeleteStorageKey', $query$
DELETE FROM orleans.grain_states
WHERE service_id = @ServiceId AND grain_type = @GrainTypeString
  AND key_n0 = @GrainIdN0 AND key_n1 = @GrainIdN1 AND key_text = coalesce(@GrainIdExtensionString, '')
  AND version = @GrainStateVersion
RETURNING 0 AS "NewGrainStateVersion"
$query$);
