//! What answers tell of keys.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::class::Class;
use crate::domain::credential::{Grant, GrantPart, Status, Verdict, When};
use crate::domain::mapping::Person;
use crate::domain::principal::PrincipalKind;
use crate::domain::{Credential, Id, Permission, Permissions, Principal};
use crate::scim::text::render_time;

/// The record of a key; never its secret.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Key")]
pub struct KeyResponse {
    /// Its id.
    pub id: Id,
    /// For people.
    pub name: String,
    /// How it begins, and no more of it.
    pub display: String,
    /// `u` of a user, `s` of an agent, `p` of an identity provider's connection.
    #[schemars(with = "Class")]
    pub class: char,
    /// Whose it is; null for a row that was changed from outside.
    pub owner: Option<OwnerResponse>,
    /// What verification would tell of it.
    #[schemars(with = "Status")]
    pub status: &'static str,
    /// Why it is suspended.
    pub reasons: Vec<String>,
    /// What it may at most be used for; null for an identity key, which only tells whose it is.
    pub grant: Option<Vec<GrantResponse>>,
    /// When it was issued.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// When it ends.
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: String,
    /// When it gives way to its successor, at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub retires_at: Option<String>,
    /// The key that it replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<Id>,
    /// When it was revoked.
    #[schemars(extend("format" = "date-time"))]
    pub revoked_at: Option<String>,
    /// Why it was revoked: a code.
    pub revoke_reason: Option<String>,
    /// Why it was revoked, in somebody's words, which are kept until the owner is deleted.
    pub revoke_note: Option<String>,
}

/// Whose a key is.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "KeyOwner")]
pub struct OwnerResponse {
    /// User or agent.
    #[serde(rename = "type")]
    pub kind: PrincipalKind,
    /// Its id.
    pub id: Id,
    /// The userName, or the agent's name; of a deleted one none is kept.
    pub name: Option<String>,
}

/// What a key may at most be used for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Grant")]
pub struct GrantResponse {
    /// Permissions and patterns of them.
    pub permissions: Permissions,
    /// What must hold of a request for them to count.
    #[serde(skip_serializing_if = "When::is_always")]
    pub when: When,
}

/// A page of keys.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct KeyList {
    /// The keys.
    pub keys: Vec<KeyResponse>,
    /// The cursor of the next page; null on the last.
    pub next: Option<String>,
}

/// A key that was just issued: the one answer that shows it.
#[derive(Serialize, JsonSchema)]
pub struct IssuedKey {
    /// Its record.
    #[serde(flatten)]
    pub record: KeyResponse,
    /// The key itself, this once.
    pub key: String,
}

/// The key itself reaches no log.
impl fmt::Debug for IssuedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedKey").field("record", &self.record).finish_non_exhaustive()
    }
}

impl OwnerResponse {
    pub(in crate::service::keys) fn of(owner: &Principal) -> OwnerResponse {
        let name = (!owner.name.is_empty()).then(|| owner.name.clone());
        OwnerResponse { kind: owner.kind, id: owner.id, name }
    }
}

impl KeyResponse {
    /// The record of a key. The owner comes with whether a live User answers for it.
    pub(in crate::service::keys) fn of(
        credential: &Credential,
        owner: Option<(&Principal, bool)>,
        status: Status,
        note: Option<&str>,
    ) -> KeyResponse {
        let reasons = owner.map(|(owner, sponsored)| credential.all_reasons(owner, sponsored));
        let part = |part: &GrantPart| GrantResponse { permissions: part.permissions.clone(), when: part.when.clone() };
        let grant = &credential.grant;
        KeyResponse {
            id: credential.id,
            name: credential.name.clone(),
            display: credential.display(),
            class: credential.class.letter(),
            owner: owner.map(|(owner, _)| OwnerResponse::of(owner)),
            status: status.name(),
            reasons: reasons.unwrap_or_default(),
            grant: (*grant != Grant::Identity).then(|| grant.parts().iter().map(part).collect()),
            created_at: render_time(credential.created_at),
            expires_at: render_time(credential.expires_at),
            retires_at: credential.retirement.map(|how| render_time(how.at)),
            predecessor: credential.predecessor,
            revoked_at: credential.revoked.as_ref().map(|revoked| render_time(revoked.at)),
            revoke_reason: credential.revoked.as_ref().map(|revoked| revoked.reason.clone()),
            revoke_note: note.map(str::to_owned),
        }
    }
}

/// What verification tells. Of a key that is not found, that alone.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Verification")]
pub struct VerifyResponse {
    /// Whether the key works and may do what was asked.
    pub valid: bool,
    /// The first of these that applies.
    #[schemars(with = "Verdict")]
    pub code: &'static str,
    /// The id of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<Id>,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<VerifiedOwner>,
    /// When it ends; of a key that is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: Option<String>,
    /// The permission that was asked for, if it has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<Permission>,
    /// What Keyroll does not know of what was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl VerifyResponse {
    /// A verdict and nothing else.
    pub(in crate::service::keys) fn only(verdict: Verdict) -> VerifyResponse {
        VerifyResponse {
            valid: verdict == Verdict::Valid,
            code: verdict.code(),
            key_id: None,
            owner: None,
            expires_at: None,
            permission: None,
            detail: None,
        }
    }
}

/// Whose a key is that was verified.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VerifiedOwner {
    /// User or agent.
    #[serde(rename = "type")]
    pub kind: PrincipalKind,
    /// Its id.
    pub id: Id,
    /// The userName, as SCIM calls it; of a user whose key is valid.
    #[serde(rename = "userName", skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// The name of an agent whose key is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Who asks.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Whoami {
    /// The command line on the host.
    Host {
        /// The tenant's name.
        tenant: String,
        /// True.
        host: bool,
    },
    /// The holder of a key.
    Holder(HolderResponse),
}

/// The holder of the key that is in use.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Whoami")]
pub struct HolderResponse {
    /// The tenant's name.
    pub tenant: String,
    /// The id of the key.
    pub key_id: Id,
    /// Its class.
    #[schemars(with = "Class")]
    pub class: char,
    /// Whose it is.
    pub owner: Person,
    /// The connection of a provisioning key.
    pub connection: Option<String>,
    /// What it may at most be used for; empty for an identity key.
    pub permissions: Permissions,
}
