-- What each migration means for servers that do not know it: see store/steps.rs.
CREATE TABLE migration_steps (
    version TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    -- The version of Keyroll that knows it.
    needs TEXT NOT NULL
) STRICT, WITHOUT ROWID;
ALTER TABLE nodes ADD COLUMN schema TEXT NOT NULL DEFAULT '';
