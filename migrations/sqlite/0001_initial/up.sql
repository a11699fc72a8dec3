-- The same tables and columns as migrations/postgres; a contract test compares them.
-- Ids are 16 bytes, times are milliseconds since 1970 in UTC (the log's: microseconds), JSON is text.

CREATE TABLE installation (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tenants (
    key INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE connections (
    key INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL REFERENCES tenants (key),
    id BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    dialect TEXT NOT NULL,
    agent BLOB NOT NULL,
    unique_group_names INTEGER NOT NULL,
    created INTEGER NOT NULL,
    UNIQUE (tenant, name)
) STRICT;

CREATE TABLE principals (
    tenant INTEGER NOT NULL REFERENCES tenants (key),
    id BLOB NOT NULL,
    kind TEXT NOT NULL,
    local INTEGER NOT NULL,
    name TEXT NOT NULL,
    active INTEGER NOT NULL,
    admin_hold INTEGER NOT NULL,
    suspended_at INTEGER,
    deleted_at INTEGER,
    permissions TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX principals_local ON principals (tenant, name) WHERE local = TRUE;

-- AUTOINCREMENT: the key of a deleted resource stays in the history of memberships and is never given again.
CREATE TABLE resources (
    key INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL REFERENCES tenants (key),
    id BLOB NOT NULL,
    type TEXT NOT NULL,
    connection INTEGER REFERENCES connections (key),
    display TEXT,
    document TEXT NOT NULL,
    version INTEGER NOT NULL,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    UNIQUE (tenant, id)
) STRICT;

CREATE INDEX resources_type ON resources (tenant, type, key);
CREATE INDEX resources_modified ON resources (tenant, type, modified, key);
CREATE INDEX resources_created ON resources (tenant, type, created, key);
CREATE INDEX resources_connection ON resources (connection);

CREATE TABLE counters (
    tenant INTEGER NOT NULL REFERENCES tenants (key),
    type TEXT NOT NULL,
    total INTEGER NOT NULL,
    PRIMARY KEY (tenant, type)
) STRICT, WITHOUT ROWID;

-- The dictionary of resource_index.path.
CREATE TABLE index_paths (
    key INTEGER NOT NULL PRIMARY KEY,
    type TEXT NOT NULL,
    path TEXT NOT NULL,
    UNIQUE (type, path)
) STRICT;

-- A function of the documents: rows for indexed paths, in the same transaction as the document.
CREATE TABLE resource_index (
    tenant INTEGER NOT NULL,
    path INTEGER NOT NULL,
    value TEXT NOT NULL,
    resource INTEGER NOT NULL,
    element INTEGER NOT NULL,
    is_primary INTEGER NOT NULL,
    cut INTEGER NOT NULL,
    PRIMARY KEY (tenant, path, value, resource, element)
) STRICT, WITHOUT ROWID;

CREATE INDEX resource_index_resource ON resource_index (resource, path);

CREATE TABLE unique_values (
    tenant INTEGER NOT NULL REFERENCES tenants (key),
    scope TEXT NOT NULL,
    hash BLOB NOT NULL,
    resource INTEGER NOT NULL REFERENCES resources (key),
    PRIMARY KEY (tenant, scope, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX unique_values_resource ON unique_values (resource);

CREATE TABLE external_ids (
    connection INTEGER NOT NULL REFERENCES connections (key),
    resource INTEGER NOT NULL REFERENCES resources (key),
    tenant INTEGER NOT NULL,
    type TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (connection, resource),
    UNIQUE (connection, type, value)
) STRICT, WITHOUT ROWID;

CREATE INDEX external_ids_resource ON external_ids (resource);

-- Who was in which group from one log record to another. No foreign keys: the history outlives both ends.
CREATE TABLE memberships (
    key INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL,
    group_key INTEGER NOT NULL,
    member_key INTEGER NOT NULL,
    from_seq INTEGER NOT NULL,
    until_seq INTEGER
) STRICT;

CREATE UNIQUE INDEX memberships_members ON memberships (group_key, member_key) WHERE until_seq IS NULL;
CREATE INDEX memberships_groups ON memberships (member_key, group_key) WHERE until_seq IS NULL;

-- Every key has one owner, which cannot be deleted from under it.
CREATE TABLE credentials (
    key INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL,
    id BLOB NOT NULL UNIQUE,
    owner BLOB NOT NULL,
    class TEXT NOT NULL,
    connection BLOB,
    selector TEXT NOT NULL UNIQUE,
    digest BLOB NOT NULL,
    name TEXT NOT NULL,
    permissions TEXT,
    created_at INTEGER NOT NULL,
    created_by BLOB,
    expires_at INTEGER NOT NULL,
    reasons TEXT NOT NULL,
    revoked_at INTEGER,
    revoke_reason TEXT,
    version INTEGER NOT NULL,
    mac BLOB NOT NULL,
    FOREIGN KEY (tenant, owner) REFERENCES principals (tenant, id) ON DELETE RESTRICT
) STRICT;

CREATE INDEX credentials_owner ON credentials (tenant, owner, key);
CREATE INDEX credentials_tenant ON credentials (tenant, key);

CREATE TABLE log_records (
    tenant INTEGER NOT NULL REFERENCES tenants (key),
    seq INTEGER NOT NULL,
    time INTEGER NOT NULL,
    action TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    bytes BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (tenant, seq)
) STRICT;

CREATE TABLE log_heads (
    tenant INTEGER NOT NULL PRIMARY KEY REFERENCES tenants (key),
    next_seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    time INTEGER NOT NULL
) STRICT;
