-- Why a key was revoked, in people's own words: beside the record, and gone with the owner.
CREATE TABLE revocation_notes (
    tenant BIGINT NOT NULL,
    credential BYTEA NOT NULL,
    owner BYTEA NOT NULL,
    note TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, credential)
);

CREATE INDEX revocation_notes_owner ON revocation_notes (tenant, owner);

-- Which keys end soon, and which are of a class.
CREATE INDEX credentials_expiry ON credentials (tenant, expires_at, key);
CREATE INDEX credentials_class ON credentials (tenant, class, key);
