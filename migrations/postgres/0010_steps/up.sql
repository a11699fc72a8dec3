-- What each migration means for servers that do not know it: see store/steps.rs.
CREATE TABLE migration_steps (
    version TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    -- The version of Keyroll that knows it.
    needs TEXT COLLATE "C" NOT NULL
);
ALTER TABLE nodes ADD COLUMN schema TEXT COLLATE "C" NOT NULL DEFAULT '';
