-- Cluster membership: who is in the cluster, who suspects whom, who is dead.
--
-- Orleans' membership protocol wants one total order of all changes of a cluster: each change names the version of the table that
-- it was decided on, and is made only if that is still the version. So the version is a row of its own that every change of a
-- member locks, checks and counts up (functions/insert_member.sql, functions/update_member.sql); a reader takes the version and the
-- members in one statement, hence from one snapshot.
--
-- Two things pass the version by, as the protocol says: the heartbeat, which must not make the decisions of others fail, and the
-- removal of members that have long been dead, on which nobody decides.
CREATE TABLE orleans.clusters (
    cluster_id text PRIMARY KEY,
    version    integer NOT NULL
);

CREATE TABLE orleans.members (
    cluster_id    text        NOT NULL REFERENCES orleans.clusters ON DELETE CASCADE,
    address       text        NOT NULL,
    port          integer     NOT NULL,
    generation    integer     NOT NULL,
    silo_name     text        NOT NULL,
    host_name     text        NOT NULL,
    status        integer     NOT NULL,  -- SiloStatus: 1 created, 2 joining, 3 active, 4 shutting down, 5 stopping, 6 dead
    gateway_port  integer     NOT NULL,  -- 0: no gateway for clients
    suspect_times text,                  -- votes against this silo, in Orleans' own form
    started_at    timestamptz NOT NULL,
    alive_at      timestamptz NOT NULL,
    PRIMARY KEY (cluster_id, address, port, generation)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON orleans.clusters, orleans.members TO bank_app;

INSERT INTO orleans.orleansquery (querykey, querytext) VALUES

-- Every silo tries this at its start; exactly one of those that race is told that it was the first. The loser's insert waits for the
-- winner's, so the row is there for both when the statement returns.
('InsertMembershipVersionKey', $query$
WITH first AS (
    INSERT INTO orleans.clusters (cluster_id, version) VALUES (@DeploymentId, 0)
    ON CONFLICT DO NOTHING
    RETURNING cluster_id
)
SELECT EXISTS (SELECT FROM first)
$query$),

-- The outer join yields the version also where there is no member: the provider needs it, and takes a row without a start time
-- for none.
('MembershipReadAllKey', $query$
SELECT c.version AS "Version", m.address AS "Address", m.port AS "Port", m.generation AS "Generation", m.silo_name AS "SiloName",
       m.host_name AS "HostName", m.status AS "Status", m.gateway_port AS "ProxyPort", m.suspect_times AS "SuspectTimes",
       m.started_at AS "StartTime", m.alive_at AS "IAmAliveTime"
FROM orleans.clusters c
LEFT JOIN orleans.members m ON m.cluster_id = c.cluster_id
WHERE c.cluster_id = @DeploymentId
$query$),

('MembershipReadRowKey', $query$
SELECT c.version AS "Version", m.address AS "Address", m.port AS "Port", m.generation AS "Generation", m.silo_name AS "SiloName",
       m.host_name AS "HostName", m.status AS "Status", m.gateway_port AS "ProxyPort", m.suspect_times AS "SuspectTimes",
       m.started_at AS "StartTime", m.alive_at AS "IAmAliveTime"
FROM orleans.clusters c
LEFT JOIN orleans.members m
       ON m.cluster_id = c.cluster_id AND m.address = @Address AND m.port = @Port AND m.generation = @Generation
WHERE c.cluster_id = @DeploymentId
$query$),

('InsertMembershipKey', $query$
SELECT orleans.insert_member(@DeploymentId, @Version, @Address, @Port, @Generation, @SiloName, @HostName, @Status, @ProxyPort,
                             @StartTime, @IAmAliveTime)
$query$),

('UpdateMembershipKey', $query$
SELECT orleans.update_member(@DeploymentId, @Version, @Address, @Port, @Generation, @Status, @SuspectTimes, @IAmAliveTime)
$query$),

('UpdateIAmAlivetimeKey', $query$
UPDATE orleans.members SET alive_at = @IAmAliveTime
WHERE cluster_id = @DeploymentId AND address = @Address AND port = @Port AND generation = @Generation
$query$),

('GatewaysQueryKey', $query$
SELECT address AS "Address", gateway_port AS "ProxyPort", generation AS "Generation"
FROM orleans.members
WHERE cluster_id = @DeploymentId AND status = @Status AND gateway_port > 0
$query$),

('DeleteMembershipTableEntriesKey', $query$
DELETE FROM orleans.clusters WHERE cluster_id = @DeploymentId
$query$),

-- The provider picks the dead members that are old enough from a read of its own, and removes each only as it was read: one that has
-- since given a sign of life (a frozen process that goes on) stays until it has been silent for the whole time again.
('CleanupDefunctSiloEntryKey', $query$
DELETE FROM orleans.members
WHERE cluster_id = @DeploymentId AND address = @Address AND port = @Port AND generation = @Generation
  AND status = 6 AND started_at = @StartTime AND alive_at = @IAmAliveTime
  AND coalesce(suspect_times, '') = coalesce(@SuspectTimes, '')
$query$),

-- The same in one statement, for builds of the provider that do not know the key above; those that do want both to exist.
('CleanupDefunctSiloEntriesKey', $query$
DELETE FROM orleans.members
WHERE cluster_id = @DeploymentId AND status = 6 AND started_at < @IAmAliveTime AND alive_at < @IAmAliveTime
$query$);
