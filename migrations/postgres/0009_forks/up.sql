-- A log that has lost records which servers knew: the last that all of it agrees on, until that is accepted;
-- and when it was last done, in microseconds.
ALTER TABLE log_heads ADD COLUMN forked_after BIGINT;
ALTER TABLE log_heads ADD COLUMN fork_accepted BIGINT;
CREATE INDEX log_heads_forked ON log_heads (forked_after) WHERE forked_after IS NOT NULL;
