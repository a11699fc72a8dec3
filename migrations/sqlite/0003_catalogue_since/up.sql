-- What a record or one behind it has added to the catalogue: a policy is made from the one before.
CREATE INDEX catalogue_since ON catalogue (tenant, from_seq);
