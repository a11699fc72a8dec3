-- Whether an externalId is unique is the client's affair (RFC 7643 section 3.1): `unique_values` holds it unique
-- where a connection asks for that.
ALTER TABLE connections ADD COLUMN unique_external_ids INTEGER NOT NULL DEFAULT FALSE;

-- SQLite takes a constraint away with its table alone. The resource goes first in its key: else a look-up by a value
-- is planned as one of all that a connection has named.
CREATE TABLE named (
    connection INTEGER NOT NULL REFERENCES connections (key),
    resource INTEGER NOT NULL REFERENCES resources (key),
    tenant INTEGER NOT NULL,
    type TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (resource, connection)
) STRICT, WITHOUT ROWID;

INSERT INTO named (connection, resource, tenant, type, value)
    SELECT connection, resource, tenant, type, value FROM external_ids;
DROP TABLE external_ids;
ALTER TABLE named RENAME TO external_ids;

CREATE INDEX external_ids_value ON external_ids (connection, type, value, resource);
