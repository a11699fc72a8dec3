-- The same tables and columns as migrations/sqlite; a contract test compares them.
-- Ids are 16 bytes, times are milliseconds since 1970 in UTC (the log's: microseconds), JSON is text.

CREATE TABLE installation (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

CREATE TABLE tenants (
    key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id BYTEA NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    created BIGINT NOT NULL
);

CREATE TABLE connections (
    key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant BIGINT NOT NULL REFERENCES tenants (key),
    id BYTEA NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    dialect TEXT COLLATE "C" NOT NULL,
    agent BYTEA NOT NULL,
    unique_group_names BOOLEAN NOT NULL,
    created BIGINT NOT NULL,
    UNIQUE (tenant, name)
);

CREATE TABLE principals (
    tenant BIGINT NOT NULL REFERENCES tenants (key),
    id BYTEA NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    local BOOLEAN NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    active BOOLEAN NOT NULL,
    admin_hold BOOLEAN NOT NULL,
    suspended_at BIGINT,
    deleted_at BIGINT,
    permissions TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE INDEX principals_local ON principals (tenant, name) WHERE local = TRUE;

-- The key of a deleted resource stays in the history of memberships and is never given again.
CREATE TABLE resources (
    key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant BIGINT NOT NULL REFERENCES tenants (key),
    id BYTEA NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    connection BIGINT REFERENCES connections (key),
    display TEXT COLLATE "C",
    document TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    created BIGINT NOT NULL,
    modified BIGINT NOT NULL,
    UNIQUE (tenant, id)
);

CREATE INDEX resources_type ON resources (tenant, type, key);
CREATE INDEX resources_modified ON resources (tenant, type, modified, key);
CREATE INDEX resources_created ON resources (tenant, type, created, key);
CREATE INDEX resources_connection ON resources (connection);

CREATE TABLE counters (
    tenant BIGINT NOT NULL REFERENCES tenants (key),
    type TEXT COLLATE "C" NOT NULL,
    total BIGINT NOT NULL,
    PRIMARY KEY (tenant, type)
);

-- The dictionary of resource_index.path.
CREATE TABLE index_paths (
    key INTEGER NOT NULL PRIMARY KEY,
    type TEXT COLLATE "C" NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    UNIQUE (type, path)
);

-- A function of the documents: rows for indexed paths, in the same transaction as the document.
CREATE TABLE resource_index (
    tenant BIGINT NOT NULL,
    path INTEGER NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    resource BIGINT NOT NULL,
    element INTEGER NOT NULL,
    is_primary BOOLEAN NOT NULL,
    cut BOOLEAN NOT NULL,
    PRIMARY KEY (tenant, path, value, resource, element)
);

CREATE INDEX resource_index_resource ON resource_index (resource, path);

CREATE TABLE unique_values (
    tenant BIGINT NOT NULL REFERENCES tenants (key),
    scope TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL,
    resource BIGINT NOT NULL REFERENCES resources (key),
    PRIMARY KEY (tenant, scope, hash)
);

CREATE INDEX unique_values_resource ON unique_values (resource);

CREATE TABLE external_ids (
    connection BIGINT NOT NULL REFERENCES connections (key),
    resource BIGINT NOT NULL REFERENCES resources (key),
    tenant BIGINT NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (connection, resource),
    UNIQUE (connection, type, value)
);

CREATE INDEX external_ids_resource ON external_ids (resource);

-- Who was in which group from one log record to another. No foreign keys: the history outlives both ends.
CREATE TABLE memberships (
    key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant BIGINT NOT NULL,
    group_key BIGINT NOT NULL,
    member_key BIGINT NOT NULL,
    from_seq BIGINT NOT NULL,
    until_seq BIGINT
);

CREATE UNIQUE INDEX memberships_members ON memberships (group_key, member_key) WHERE until_seq IS NULL;
CREATE INDEX memberships_groups ON memberships (member_key, group_key) WHERE until_seq IS NULL;

-- Every key has one owner, which cannot be deleted from under it.
CREATE TABLE credentials (
    key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant BIGINT NOT NULL,
    id BYTEA NOT NULL UNIQUE,
    owner BYTEA NOT NULL,
    class TEXT COLLATE "C" NOT NULL,
    connection BYTEA,
    selector TEXT COLLATE "C" NOT NULL UNIQUE,
    digest BYTEA NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    permissions TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    created_by BYTEA,
    expires_at BIGINT NOT NULL,
    reasons TEXT COLLATE "C" NOT NULL,
    revoked_at BIGINT,
    revoke_reason TEXT COLLATE "C",
    version BIGINT NOT NULL,
    mac BYTEA NOT NULL,
    FOREIGN KEY (tenant, owner) REFERENCES principals (tenant, id) ON DELETE RESTRICT
);

CREATE INDEX credentials_owner ON credentials (tenant, owner, key);
CREATE INDEX credentials_tenant ON credentials (tenant, key);

CREATE TABLE log_records (
    tenant BIGINT NOT NULL REFERENCES tenants (key),
    seq BIGINT NOT NULL,
    time BIGINT NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    subject_kind TEXT COLLATE "C" NOT NULL,
    subject_id TEXT COLLATE "C" NOT NULL,
    bytes BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (tenant, seq)
);

CREATE TABLE log_heads (
    tenant BIGINT NOT NULL PRIMARY KEY REFERENCES tenants (key),
    next_seq BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    time BIGINT NOT NULL
);
