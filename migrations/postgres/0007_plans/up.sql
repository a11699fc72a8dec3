-- Each for queries that name its first column, and for no others: before PostgreSQL has counted rows, reading the first
-- index whole looks as good to it as the right one for the groups of a member (a partial index is small by itself), and
-- even afterwards the others for all that stands under a path, or for all memberships that have not ended.
DROP INDEX memberships_members;
CREATE UNIQUE INDEX memberships_members ON memberships (group_key, member_key)
    WHERE until_seq IS NULL AND group_key IS NOT NULL;
DROP INDEX memberships_groups;
CREATE INDEX memberships_groups ON memberships (member_key, until_seq, group_key) WHERE member_key IS NOT NULL;
DROP INDEX resource_index_resource;
CREATE INDEX resource_index_resource ON resource_index (resource, path) WHERE resource IS NOT NULL;
