-- The SHA-256 of a key's text: whoever finds a key can ask whose it is without telling it.
ALTER TABLE credentials ADD COLUMN text_hash BYTEA;
CREATE INDEX credentials_by_text ON credentials (text_hash) WHERE text_hash IS NOT NULL;
