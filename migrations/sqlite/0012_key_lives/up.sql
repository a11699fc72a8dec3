-- Conditions of a grant: its parts as JSON, where any part has some; `permissions` has all of them without.
ALTER TABLE credentials ADD COLUMN grant_parts TEXT;
-- Keys that replace one another: the id of the first, and which of the two that may work at once this one is.
ALTER TABLE credentials ADD COLUMN lineage BLOB;
ALTER TABLE credentials ADD COLUMN slot TEXT;
ALTER TABLE credentials ADD COLUMN predecessor BLOB;
-- When a key gives way to its successor, and what makes it give way earlier.
ALTER TABLE credentials ADD COLUMN retires_at INTEGER;
ALTER TABLE credentials ADD COLUMN retire_on TEXT;
-- When a key that replaces another one was first used. Not under the row's MAC: it only ever comes.
ALTER TABLE credentials ADD COLUMN first_used_at INTEGER;
CREATE UNIQUE INDEX credentials_lineage ON credentials (lineage, slot) WHERE slot IS NOT NULL;
