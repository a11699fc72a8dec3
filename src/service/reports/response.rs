//! What reports answer.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::mapping::{GroupName, Person, Source};
use crate::domain::{Id, Permission, Permissions};
use crate::service::catalogue::source;

/// What a principal may do, and every reason for it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Access")]
pub struct AccessResponse {
    /// Whose it is.
    pub principal: Person,
    /// Whether it is live: who is not holds nothing.
    pub live: bool,
    /// The roles that it holds.
    pub roles: Vec<HeldRole>,
    /// The permissions that they give.
    pub permissions: Permissions,
    /// The record of the log up to which this is true.
    pub as_of_seq: i64,
    /// Set if there are more ways through groups than are listed; every mapping that applies is.
    #[serde(skip_serializing_if = "is_false")]
    pub truncated: bool,
}

/// A role that a principal holds.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HeldRole {
    /// Its name.
    pub role: String,
    /// Every reason for it.
    pub reasons: Vec<ReasonResponse>,
}

/// Why a principal holds a role.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Reason")]
pub struct ReasonResponse {
    /// The role, where reasons of several stand together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The mapping that applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Id>,
    /// What kind of source it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["group", "rule", "asserted", "person"]))]
    pub source: Option<&'static str>,
    /// The roles between the one that the mapping gives and this one, which includes it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<String>,
    /// The groups from the mapped one to the one that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Vec<GroupStep>>,
    /// Whether it is in the mapped group itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direct: Option<bool>,
    /// Since when it holds.
    #[schemars(extend("format" = "date-time"))]
    pub since: Option<String>,
    /// When it ends by itself.
    #[schemars(extend("format" = "date-time"))]
    pub until: Option<String>,
}

/// A group on a way.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupStep {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub display_name: Option<String>,
}

/// A page of the principals that hold a role.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HolderList {
    /// The role.
    pub role: String,
    /// Who holds it. A page may hold fewer than it could, even none, though others follow.
    pub holders: Vec<HolderResponse>,
    /// Where the next page goes on; null on the last one.
    pub next: Option<String>,
    /// The record of the log up to which this is true.
    pub as_of_seq: i64,
}

/// A principal that holds a role.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Holder")]
pub struct HolderResponse {
    /// Who.
    pub principal: Person,
    /// Every reason for it.
    pub reasons: Vec<ReasonResponse>,
    /// Set if there are more ways through groups than are listed; every mapping that applies is.
    #[serde(skip_serializing_if = "is_false")]
    pub truncated: bool,
}

/// A page of those who would lose something if a mapping were removed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LossList {
    /// Always true: nothing was removed.
    pub dry_run: bool,
    /// The mapping.
    pub mapping: Id,
    /// Who would lose what.
    pub losses: Vec<LossResponse>,
    /// Where the next page goes on; null on the last one.
    pub next: Option<String>,
    /// The record of the log up to which this is true.
    pub as_of_seq: i64,
}

/// What a principal would lose.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Loss")]
pub struct LossResponse {
    /// Who.
    pub principal: Person,
    /// The roles that nothing else gives it.
    pub roles: Vec<String>,
    /// The permissions that nothing else gives it.
    pub permissions: Permissions,
}

/// Whether a principal may do something, and why or what is nearest.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Explanation {
    /// Whether it may.
    pub allowed: bool,
    /// What was asked for.
    pub permission: Permission,
    /// Of whom.
    pub principal: Person,
    /// Whether it is live: who is not may nothing.
    pub live: bool,
    /// By what it may.
    pub reasons: Vec<ReasonResponse>,
    /// The role that comes nearest where it may not.
    pub nearest: Option<NearestRole>,
    /// The same in a sentence.
    pub detail: Option<String>,
    /// The record of the log up to which this is true.
    pub as_of_seq: i64,
    /// Set if there are more ways through groups than are listed; every mapping that applies is.
    #[serde(skip_serializing_if = "is_false")]
    pub truncated: bool,
}

/// A role that would give what is missing.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NearestRole {
    /// Its name.
    pub role: String,
    /// The mappings that give it to others.
    pub by: Vec<Way>,
    /// Where no mapping gives it: sources of mappings that somebody could make for this principal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub could_map: Vec<PossibleSource>,
    /// Set if there are more mappings than are listed.
    #[serde(skip_serializing_if = "is_false")]
    pub truncated: bool,
}

/// A mapping that gives a role.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Way {
    /// Its id.
    pub mapping: Id,
    /// Who gets it, as it was sent.
    #[serde(serialize_with = "source::as_sent")]
    pub source: Source,
}

/// A source as the body of a new mapping has it; of a person, the reason is the admin's to say.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum PossibleSource {
    /// A group that the principal is in.
    Group {
        /// Which.
        group: GroupName,
    },
    /// The principal itself.
    Person {
        /// Who.
        person: Person,
    },
}

/// Leaves out what is only said if it is so.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(flag: &bool) -> bool {
    !flag
}
