-- Conditions of a grant: its parts as JSON, where any part has some; `permissions` has all of them without.
ALTER TABLE credentials ADD COLUMN grant_parts TEXT COLLATE "C";
-- Keys that replace one another: the id of the first, and which of the two that may work at once this one is.
ALTER TABLE credentials ADD COLUMN lineage BYTEA;
ALTER TABLE credentials ADD COLUMN slot TEXT COLLATE "C";
ALTER TABLE credentials ADD COLUMN predecessor BYTEA;
-- When a key gives way to its successor, and what makes it give way earlier.
ALTER TABLE credentials ADD COLUMN retires_at BIGINT;
ALTER TABLE credentials ADD COLUMN retire_on TEXT COLLATE "C";
-- When a key that replaces another one was first used. Not under the row's MAC: it only ever comes.
ALTER TABLE credentials ADD COLUMN first_used_at BIGINT;
CREATE UNIQUE INDEX credentials_lineage ON credentials (lineage, slot) WHERE slot IS NOT NULL;
