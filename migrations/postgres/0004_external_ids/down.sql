CREATE INDEX external_ids_resource ON external_ids (resource);
ALTER TABLE external_ids DROP CONSTRAINT external_ids_pkey, ADD PRIMARY KEY (connection, resource);
-- Fails if a connection calls two resources the same by now.
ALTER TABLE external_ids ADD CONSTRAINT external_ids_connection_type_value_key UNIQUE (connection, type, value);
DROP INDEX external_ids_value;
DELETE FROM unique_values WHERE scope LIKE '%.externalId@%';
ALTER TABLE connections DROP COLUMN unique_external_ids;
