-- Why a key was revoked, in people's own words: beside the record, and gone with the owner.
CREATE TABLE revocation_notes (
    tenant INTEGER NOT NULL,
    credential BLOB NOT NULL,
    owner BLOB NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (tenant, credential)
) STRICT, WITHOUT ROWID;

CREATE INDEX revocation_notes_owner ON revocation_notes (tenant, owner);

-- Which keys end soon, and which are of a class.
CREATE INDEX credentials_expiry ON credentials (tenant, expires_at, key);
CREATE INDEX credentials_class ON credentials (tenant, class, key);
