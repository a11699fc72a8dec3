-- How far each job of the worker has come in each log. The work of a job in the same transaction moves it.
CREATE TABLE worker_cursors (
    tenant BIGINT NOT NULL REFERENCES tenants (key),
    job TEXT COLLATE "C" NOT NULL,
    next_seq BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (tenant, job)
);

-- Which node does a job at present. No backup holds it.
CREATE TABLE worker_leases (
    job TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    holder BYTEA NOT NULL,
    until BIGINT NOT NULL
);

-- What was true before is found by when it ended.
DROP INDEX resource_history_tenant;
CREATE INDEX resource_history_until ON resource_history (tenant, until_seq);
CREATE INDEX principal_history_until ON principal_history (tenant, until_seq);
CREATE INDEX memberships_until ON memberships (tenant, until_seq) WHERE until_seq IS NOT NULL;
