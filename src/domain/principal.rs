//! Principals: the Users and Agents that credentials point to. A principal outlives its resource.

use chrono::{DateTime, TimeDelta, Utc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id::Id;
use crate::scim::schema::registry;
use crate::scim::{ResourceType, text};

/// The name of the operator that `init` makes.
pub const OPERATOR: &str = "operator";

/// Whether a name is the operator's, compared as userNames are: whoever is called so by an identity provider is not
/// meant by it, in any letters.
pub fn is_operator(name: &str) -> bool {
    text::fold(name) == OPERATOR
}

/// How long after a suspension a reactivation gives the keys back (`credentials.md` §3.7).
pub const REACTIVATION_WINDOW: TimeDelta = TimeDelta::days(7);

/// What a principal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A machine identity.
    Agent,
}

impl PrincipalKind {
    /// All of them.
    pub const ALL: [PrincipalKind; 2] = [PrincipalKind::User, PrincipalKind::Agent];

    /// The name in answers, storage and the log.
    pub fn name(self) -> &'static str {
        match self {
            PrincipalKind::User => "user",
            PrincipalKind::Agent => "agent",
        }
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<PrincipalKind> {
        PrincipalKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The kind that the schema says the resources of a type are; `None` if they are no principals.
    pub fn of_type(resource_type: &ResourceType) -> Option<PrincipalKind> {
        PrincipalKind::parse(resource_type.principal_kind.as_deref()?)
    }

    /// The type whose resources the schema says are of this kind.
    pub fn resource_type(self) -> Option<&'static ResourceType> {
        registry().types.iter().copied().find(|one| PrincipalKind::of_type(one) == Some(self))
    }
}

/// A User or an Agent as an owner of credentials.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// The id, equal to the resource's.
    pub id: Id,
    /// User or agent.
    pub kind: PrincipalKind,
    /// Made by `init` and administered on the host and through `/v1`; no SCIM resource.
    pub local: bool,
    /// `operator`, a connection's name, or the userName of a User.
    pub name: String,
    /// SCIM's `active` is true.
    pub active: bool,
    /// An admin suspended it; no identity provider can lift that.
    pub admin_hold: bool,
    /// Since when it is not live; cleared by reactivation.
    pub suspended_at: Option<DateTime<Utc>>,
    /// When its resource was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
}

impl Principal {
    /// Whether it may act as far as it says itself: present, active and not held.
    pub fn is_live(&self) -> bool {
        self.active && !self.admin_hold && self.deleted_at.is_none()
    }

    /// The same, given whether any of its sponsors is live: an Agent does nothing that no live User answers
    /// for (promise P1). The agent of a connection is exempt, or later leavers would keep their keys.
    pub fn is_live_with(&self, has_live_sponsor: bool) -> bool {
        self.is_live() && (has_live_sponsor || !self.needs_sponsor())
    }

    /// Whether it says the same of itself as another state of it does, as far as that decides whether it is live.
    pub fn is_live_as(&self, other: &Principal) -> bool {
        let said = |one: &Principal| (one.active, one.admin_hold, one.deleted_at.is_some());
        said(self) == said(other)
    }

    /// Whether it is live only with a sponsor.
    pub fn needs_sponsor(&self) -> bool {
        self.kind == PrincipalKind::Agent && !self.local
    }

    /// Whether it has been suspended for so long that its keys are gone for good.
    pub fn is_past_window(&self, now: DateTime<Utc>) -> bool {
        self.suspended_at.is_some_and(|since| now >= since + REACTIVATION_WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_principals_is_of_a_kind() {
        for resource_type in &registry().types {
            let kind = PrincipalKind::of_type(resource_type);
            assert_eq!(kind.is_some(), resource_type.principal, "{}", resource_type.name);
            assert!(kind.is_none() || resource_type.naming.is_some(), "{}", resource_type.name);
        }
        let kind = |name: &str| PrincipalKind::of_type(registry().by_name(name).unwrap());
        assert_eq!((kind("User"), kind("Agent")), (Some(PrincipalKind::User), Some(PrincipalKind::Agent)));
    }
}
