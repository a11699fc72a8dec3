//! Reasons as answers show them.

use std::collections::HashMap;

use crate::domain::Policy;
use crate::domain::access::Reason;
use crate::domain::facts::{Facts, Groups};
use crate::domain::mapping::Person;
use crate::scim::text::render_time;
use crate::service::reports::response::{GroupStep, ReasonResponse};

/// What reasons refer to.
pub(in crate::service::reports) struct About<'s> {
    pub(in crate::service::reports) policy: &'s Policy,
    pub(in crate::service::reports) groups: &'s Groups,
    /// When records were written, by their numbers.
    pub(in crate::service::reports) times: &'s HashMap<i64, String>,
}

impl About<'_> {
    fn reason(&self, reason: &Reason) -> ReasonResponse {
        let mapped = self.policy.mapped(reason.hit.mapping);
        let step = |key: &i64| {
            let group = self.groups.known.get(key)?;
            Some(GroupStep { id: group.id, display_name: group.display.clone() })
        };
        let has_way = reason.hit.group.is_some();
        ReasonResponse {
            role: None,
            mapping: mapped.map(|one| one.mapping.id),
            source: mapped.map(|one| one.mapping.source.name()),
            via: reason.via.clone(),
            path: has_way.then(|| reason.path.iter().filter_map(step).collect()),
            direct: has_way.then_some(reason.path.len() == 1),
            since: self.times.get(&reason.since).cloned(),
            until: reason.until.map(render_time),
        }
    }

    /// The same, with the role that it is a reason for.
    pub(in crate::service::reports) fn reason_for(&self, role: &str, reason: &Reason) -> ReasonResponse {
        ReasonResponse { role: Some(role.to_owned()), ..self.reason(reason) }
    }

    pub(in crate::service::reports) fn reasons(&self, reasons: &[Reason]) -> Vec<ReasonResponse> {
        reasons.iter().map(|reason| self.reason(reason)).collect()
    }
}

/// A principal, as answers name it.
pub(in crate::service::reports) fn named(facts: &Facts) -> Person {
    Person { kind: facts.kind, id: facts.id }
}
