-- The servers on this database, each by a row that it renews. Not logged: nothing of it is worth a flush of the disk
-- or a wait for a standby, and after a crash or a failover each server writes its row anew. No backup holds it.
CREATE UNLOGGED TABLE nodes (
    id BYTEA NOT NULL PRIMARY KEY,
    version TEXT COLLATE "C" NOT NULL,
    host TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    started BIGINT NOT NULL,
    -- When it was last written, by the database's clock.
    seen BIGINT NOT NULL,
    -- How many transactions had ended as far as the server knew then.
    applied BIGINT NOT NULL,
    -- Up to where the server has asked the others to come.
    asks BIGINT NOT NULL
) WITH (fillfactor = 10);
