-- The servers on a database server, each by a row that it renews. The embedded database is one machine's: here it stays
-- empty.
CREATE TABLE nodes (
    id BLOB NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    host TEXT NOT NULL,
    address TEXT NOT NULL,
    started INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    applied INTEGER NOT NULL,
    asks INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
