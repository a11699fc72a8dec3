//! Credentials as rows.

use chrono::DateTime;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::domain::class::Class;
use crate::domain::credential::{Grant, GrantPart, RetireOn, Retirement, Revocation, Slot, When};
use crate::domain::secret::Digest;
use crate::domain::{Credential, Id, Permissions};
use crate::store::error::Result;
use crate::store::row::row;
use crate::store::schema::credentials;
use crate::store::types::{self, Column, millis_opt};

/// A credential as it is stored: the MAC over its fields is the service's to check.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCredential {
    /// The credential.
    pub credential: Credential,
    /// The MAC over [`Credential::canonical`].
    pub mac: Vec<u8>,
}

row! {
    credentials {
        key: i64,
        id: Vec<u8>,
        owner: Vec<u8>,
        class: String,
        connection: Option<Vec<u8>>,
        selector: String,
        digest: Vec<u8>,
        name: String,
        permissions: Option<String>,
        created_at: i64,
        created_by: Option<Vec<u8>>,
        expires_at: i64,
        reasons: String,
        revoked_at: Option<i64>,
        revoke_reason: Option<String>,
        version: i64,
        mac: Vec<u8>,
        text_hash: Option<Vec<u8>>,
        grant_parts: Option<String>,
        lineage: Option<Vec<u8>>,
        slot: Option<String>,
        predecessor: Option<Vec<u8>>,
        retires_at: Option<i64>,
        retire_on: Option<String>,
        first_used_at: Option<i64>,
    }
}

/// A column of the table.
fn column(name: &'static str) -> Column {
    Column("credentials", name)
}

impl Row {
    /// What cannot be read was written by somebody else: it stands for nothing, no MAC fits the row, and the rows
    /// around it are read as ever.
    pub(in crate::store) fn into_stored(self) -> StoredCredential {
        let mut intact = true;
        let id = read(&mut intact, column("id").id(&self.id), Id::NIL);
        let retirement = retirement(&mut intact, self.retires_at, self.retire_on.as_deref());
        let credential = Credential {
            id,
            owner: read(&mut intact, column("owner").id(&self.owner), Id::NIL),
            class: read(&mut intact, class(&self.class), Class::User),
            connection: self.connection.map(|bytes| read(&mut intact, column("connection").id(&bytes), Id::NIL)),
            selector: self.selector,
            digest: Digest(read(&mut intact, column("digest").hash(&self.digest), [0; 32])),
            name: self.name,
            grant: grant(&mut intact, self.permissions.as_deref(), self.grant_parts.as_deref()),
            created_at: read(&mut intact, column("created_at").time(self.created_at), DateTime::UNIX_EPOCH),
            created_by: self.created_by.map(|bytes| read(&mut intact, column("created_by").id(&bytes), Id::NIL)),
            expires_at: read(&mut intact, column("expires_at").time(self.expires_at), DateTime::UNIX_EPOCH),
            reasons: match self.reasons.as_str() {
                "[]" => vec![],
                texts => read(&mut intact, column("reasons").texts(texts), vec![]),
            },
            revoked: self.revoked_at.map(|at| Revocation {
                at: read(&mut intact, column("revoked_at").time(at), DateTime::UNIX_EPOCH),
                reason: self.revoke_reason.unwrap_or_default(),
            }),
            version: self.version,
            text_hash: self.text_hash.and_then(|hash| hash.try_into().ok()),
            lineage: self.lineage.map_or(id, |bytes| read(&mut intact, column("lineage").id(&bytes), Id::NIL)),
            slot: self.slot.as_deref().and_then(Slot::parse),
            predecessor: self.predecessor.map(|bytes| read(&mut intact, column("predecessor").id(&bytes), Id::NIL)),
            retirement,
            first_used_at: column("first_used_at").time_opt(self.first_used_at).ok().flatten(),
        };
        StoredCredential { credential, mac: if intact { self.mac } else { vec![] } }
    }
}

fn class(text: &str) -> Result<Class> {
    let mut letters = text.chars();
    let class = letters.next().and_then(Class::from_letter).filter(|_| letters.next().is_none());
    class.ok_or_else(|| column("class").corrupt("no class"))
}

/// A value of a row, or what stands for it in a row that cannot be read.
fn read<T>(intact: &mut bool, value: Result<T>, otherwise: T) -> T {
    *intact &= value.is_ok();
    value.unwrap_or(otherwise)
}

fn grant(intact: &mut bool, permissions: Option<&str>, parts: Option<&str>) -> Grant {
    match (permissions, parts) {
        (_, Some(parts)) => {
            let parts =
                serde_json::from_str::<Vec<PartText>>(parts).map_err(|_| column("grant_parts").corrupt("no parts"));
            Grant::Parts(read(intact, parts, vec![]).into_iter().map(PartText::into_part).collect())
        }
        (Some(texts), None) => {
            let permissions = column("permissions").permissions(texts);
            Grant::of(read(intact, permissions, Permissions::default()))
        }
        (None, None) => Grant::Identity,
    }
}

fn retirement(intact: &mut bool, at: Option<i64>, on: Option<&str>) -> Option<Retirement> {
    let at = read(intact, column("retires_at").time(at?), DateTime::UNIX_EPOCH);
    let on = on.and_then(RetireOn::parse).ok_or_else(|| column("retire_on").corrupt("no way to retire"));
    Some(Retirement { at, on: read(intact, on, RetireOn::Deadline) })
}

/// The permissions of a ceiling, whatever else it asks for.
pub(super) fn permissions(credential: &Credential) -> Option<String> {
    credential.grant.permissions().map(|permissions| types::json(&permissions.texts()))
}

/// A part of a ceiling in the row.
#[derive(Serialize, Deserialize)]
struct PartText {
    permissions: Permissions,
    #[serde(default)]
    when: When,
}

impl PartText {
    fn into_part(self) -> GrantPart {
        GrantPart { permissions: self.permissions, when: self.when }
    }
}

/// The parts of a ceiling that has conditions.
pub(super) fn grant_parts(credential: &Credential) -> Option<String> {
    let part = |part: &GrantPart| PartText { permissions: part.permissions.clone(), when: part.when.clone() };
    let grant = &credential.grant;
    grant.is_conditional().then(|| json!(grant.parts().iter().map(part).collect::<Vec<_>>()).to_string())
}

/// A key's place among those that replace one another.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = credentials, treat_none_as_null = true)]
pub(super) struct Line {
    lineage: Vec<u8>,
    slot: Option<&'static str>,
    predecessor: Option<Vec<u8>>,
    retires_at: Option<i64>,
    retire_on: Option<&'static str>,
}

impl Line {
    pub(super) fn of(credential: &Credential) -> Line {
        Line {
            lineage: credential.lineage.as_bytes().to_vec(),
            slot: credential.slot.map(Slot::name),
            predecessor: credential.predecessor.map(|id| id.as_bytes().to_vec()),
            retires_at: millis_opt(credential.retirement.map(|how| how.at)),
            retire_on: credential.retirement.map(|how| how.on.name()),
        }
    }
}
