DROP INDEX credentials_class;
DROP INDEX credentials_expiry;
DROP TABLE revocation_notes;
