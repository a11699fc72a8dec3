-- Whether an externalId is unique is the client's affair (RFC 7643 section 3.1): `unique_values` holds it unique
-- where a connection asks for that.
ALTER TABLE connections ADD COLUMN unique_external_ids BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE external_ids DROP CONSTRAINT external_ids_connection_type_value_key;
CREATE INDEX external_ids_value ON external_ids (connection, type, value, resource);

-- As on SQLite, one key serves the look-ups by resource as well.
ALTER TABLE external_ids DROP CONSTRAINT external_ids_pkey, ADD PRIMARY KEY (resource, connection);
DROP INDEX external_ids_resource;
