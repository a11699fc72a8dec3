DROP INDEX resource_index_resource;
CREATE INDEX resource_index_resource ON resource_index (resource, path);
DROP INDEX memberships_groups;
CREATE INDEX memberships_groups ON memberships (member_key, until_seq, group_key);
DROP INDEX memberships_members;
CREATE UNIQUE INDEX memberships_members ON memberships (group_key, member_key) WHERE until_seq IS NULL;
