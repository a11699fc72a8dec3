-- How far each job of the worker has come in each log. The work of a job in the same transaction moves it.
CREATE TABLE worker_cursors (
    tenant INTEGER NOT NULL REFERENCES tenants (key),
    job TEXT NOT NULL,
    next_seq INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    PRIMARY KEY (tenant, job)
) STRICT, WITHOUT ROWID;

-- Which node does a job at present. No backup holds it.
CREATE TABLE worker_leases (
    job TEXT NOT NULL PRIMARY KEY,
    holder BLOB NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was true before is found by when it ended.
DROP INDEX resource_history_tenant;
CREATE INDEX resource_history_until ON resource_history (tenant, until_seq);
CREATE INDEX principal_history_until ON principal_history (tenant, until_seq);
CREATE INDEX memberships_until ON memberships (tenant, until_seq) WHERE until_seq IS NOT NULL;
