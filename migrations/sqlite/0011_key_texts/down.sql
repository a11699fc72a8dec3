DROP INDEX credentials_by_text;
ALTER TABLE credentials DROP COLUMN text_hash;
