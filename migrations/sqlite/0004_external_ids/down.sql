-- Fails if a connection calls two resources the same by now.
CREATE TABLE named (
    connection INTEGER NOT NULL REFERENCES connections (key),
    resource INTEGER NOT NULL REFERENCES resources (key),
    tenant INTEGER NOT NULL,
    type TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (connection, resource),
    UNIQUE (connection, type, value)
) STRICT, WITHOUT ROWID;

INSERT INTO named (connection, resource, tenant, type, value)
    SELECT connection, resource, tenant, type, value FROM external_ids;
DROP TABLE external_ids;
ALTER TABLE named RENAME TO external_ids;

CREATE INDEX external_ids_resource ON external_ids (resource);
DELETE FROM unique_values WHERE scope LIKE '%.externalId@%';
ALTER TABLE connections DROP COLUMN unique_external_ids;
