DROP INDEX credentials_lineage;
ALTER TABLE credentials DROP COLUMN first_used_at;
ALTER TABLE credentials DROP COLUMN retire_on;
ALTER TABLE credentials DROP COLUMN retires_at;
ALTER TABLE credentials DROP COLUMN predecessor;
ALTER TABLE credentials DROP COLUMN slot;
ALTER TABLE credentials DROP COLUMN lineage;
ALTER TABLE credentials DROP COLUMN grant_parts;
