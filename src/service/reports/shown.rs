//! Reasons as answers show them. Written as they are read, not by way of a tree of values: an answer may hold
//! thousands of them, each with the groups of its way.

use std::collections::HashMap;

use serde::Serialize;

use crate::domain::access::Reason;
use crate::domain::facts::Groups;
use crate::domain::{Id, Policy};
use crate::scim::text::render_time;

/// What reasons refer to.
pub(in crate::service::reports) struct About<'s> {
    pub(in crate::service::reports) policy: &'s Policy,
    pub(in crate::service::reports) groups: &'s Groups,
    /// When records were written, by their numbers.
    pub(in crate::service::reports) times: &'s HashMap<i64, String>,
}

/// Why a principal holds a role.
#[derive(Serialize)]
pub(in crate::service::reports) struct ShownReason<'s> {
    /// The role, where reasons of several stand together.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mapping: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    via: &'s [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Vec<Step<'s>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direct: Option<bool>,
    since: Option<&'s str>,
    until: Option<String>,
}

/// Leaves out what is only said if it is so.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
pub(in crate::service::reports) fn is_false(flag: &bool) -> bool {
    !flag
}

/// A group on a way.
#[derive(Serialize)]
struct Step<'s> {
    id: Id,
    #[serde(rename = "displayName")]
    display_name: Option<&'s str>,
}

impl<'s> About<'s> {
    fn reason(&self, reason: &'s Reason) -> ShownReason<'s> {
        let mapped = self.policy.mapped(reason.hit.mapping);
        let step = |key: &i64| {
            let group = self.groups.known.get(key)?;
            Some(Step { id: group.id, display_name: group.display.as_deref() })
        };
        let has_way = reason.hit.group.is_some();
        ShownReason {
            role: None,
            mapping: mapped.map(|one| one.mapping.id),
            source: mapped.map(|one| one.mapping.source.name()),
            via: &reason.via,
            path: has_way.then(|| reason.path.iter().filter_map(step).collect()),
            direct: has_way.then_some(reason.path.len() == 1),
            since: self.times.get(&reason.since).map(String::as_str),
            until: reason.until.map(render_time),
        }
    }

    /// The same, with the role that it is a reason for.
    pub(in crate::service::reports) fn reason_for(&self, role: &'s str, reason: &'s Reason) -> ShownReason<'s> {
        ShownReason { role: Some(role), ..self.reason(reason) }
    }

    pub(in crate::service::reports) fn reasons(&self, reasons: &'s [Reason]) -> Vec<ShownReason<'s>> {
        reasons.iter().map(|reason| self.reason(reason)).collect()
    }
}
