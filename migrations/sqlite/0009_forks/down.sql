DROP INDEX log_heads_forked;
ALTER TABLE log_heads DROP COLUMN fork_accepted;
ALTER TABLE log_heads DROP COLUMN forked_after;
