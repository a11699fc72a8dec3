DROP INDEX memberships_until;
DROP INDEX principal_history_until;
DROP INDEX resource_history_until;
CREATE INDEX resource_history_tenant ON resource_history (tenant, key);
DROP TABLE worker_leases;
DROP TABLE worker_cursors;
