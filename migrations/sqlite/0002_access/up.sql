-- Access: what roles there are, who gets them, and what was true before.

-- The last record that changed what services read of roles and mappings, and a number that no other
-- state of roles and mappings has, not even one that was rolled back.
ALTER TABLE log_heads ADD COLUMN policy_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_heads ADD COLUMN policy_epoch INTEGER NOT NULL DEFAULT 0;

-- Apis, roles and mappings, each from one record of the log to another.
CREATE TABLE catalogue (
    key INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL REFERENCES tenants (key),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    from_seq INTEGER NOT NULL,
    until_seq INTEGER
) STRICT;

CREATE UNIQUE INDEX catalogue_current ON catalogue (tenant, kind, name) WHERE until_seq IS NULL;
CREATE INDEX catalogue_past ON catalogue (tenant, until_seq);

-- The operator's direct grant becomes a mapping when the server opens the database: with its record.
ALTER TABLE principals ADD COLUMN created_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE principals ADD COLUMN direct_grant TEXT;
UPDATE principals SET direct_grant = permissions WHERE kind = 'user' AND permissions <> '[]';
ALTER TABLE principals DROP COLUMN permissions;

-- How a principal was until a record of the log. As it is now, its own row says.
CREATE TABLE principal_history (
    tenant INTEGER NOT NULL,
    id BLOB NOT NULL,
    until_seq INTEGER NOT NULL,
    active INTEGER NOT NULL,
    admin_hold INTEGER NOT NULL,
    PRIMARY KEY (tenant, id, until_seq)
) STRICT, WITHOUT ROWID;

-- How a resource was until a record of the log: its document and externalIds, sealed under a key of its own.
CREATE TABLE resource_history (
    key INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL,
    resource INTEGER NOT NULL,
    id BLOB NOT NULL,
    type TEXT NOT NULL,
    connection INTEGER,
    until_seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX resource_history_resource ON resource_history (resource, until_seq);
CREATE INDEX resource_history_id ON resource_history (tenant, id);
CREATE INDEX resource_history_tenant ON resource_history (tenant, key);

CREATE TABLE subject_keys (
    tenant INTEGER NOT NULL,
    id BLOB NOT NULL,
    wrapped BLOB NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

-- Groups in groups are found without reading a group's other members, and past memberships of a member too.
ALTER TABLE memberships ADD COLUMN nested INTEGER NOT NULL DEFAULT FALSE;
UPDATE memberships SET nested = TRUE
    WHERE EXISTS (SELECT 1 FROM resources r WHERE r.key = member_key AND r.type = 'Group');
DROP INDEX memberships_groups;
CREATE INDEX memberships_groups ON memberships (member_key, until_seq, group_key);
CREATE INDEX memberships_nested ON memberships (group_key, member_key) WHERE nested = TRUE AND until_seq IS NULL;
