//! What a principal loses when a mapping goes or another policy comes: what nothing else gives it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::access::{self, Hit};
use super::permission::Permissions;
use super::policy::Policy;

/// Roles and permissions that a principal no longer holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The roles.
    pub roles: BTreeSet<String>,
    /// The permissions; one that a pattern of another role covers is not lost.
    pub permissions: Permissions,
}

impl Loss {
    /// What a principal to whom these mappings apply loses without the one at a place.
    pub fn of(policy: &Policy, hits: &[Hit], mapping: usize) -> Loss {
        let rest: Vec<Hit> = hits.iter().copied().filter(|hit| hit.mapping != mapping).collect();
        Loss::between((policy, hits), (policy, &rest))
    }

    /// What a principal loses to whom these mappings apply under one policy, and those under another.
    pub fn between(before: (&Policy, &[Hit]), after: (&Policy, &[Hit])) -> Loss {
        let (had, has) = (roles(before.0, before.1), roles(after.0, after.1));
        let kept = access::permissions(after.0, after.1);
        let gave = access::permissions(before.0, before.1);
        Loss {
            roles: had.difference(&has).map(|role| (*role).to_owned()).collect(),
            permissions: gave.iter().filter(|one| !kept.cover(one)).cloned().collect(),
        }
    }

    /// Whether nothing is lost.
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty() && self.permissions.is_empty()
    }
}

fn roles<'p>(policy: &'p Policy, hits: &[Hit]) -> BTreeSet<&'p str> {
    let mapped = hits.iter().filter_map(|hit| policy.mapped(hit.mapping));
    mapped.flat_map(|one| policy.gains(&one.mapping.role)).map(|gain| gain.role.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mapping::{GroupName, Source};
    use crate::domain::{Id, Mapping, Role};

    /// Mappings to these roles, in this order, all of which apply.
    #[track_caller]
    fn check(mapped: &[&str], removed: usize, roles: &[&str], permissions: &[&str]) {
        let role = |name: &str, gives: &[&str], includes: &[&str]| Role {
            name: name.to_owned(),
            description: String::new(),
            permissions: Permissions::parse(gives.iter().copied()).unwrap(),
            includes: includes.iter().map(|name| (*name).to_owned()).collect(),
            assertable_by: vec![],
        };
        let all = vec![
            role("reader", &["a:x:read"], &[]),
            role("writer", &["a:x:write"], &["reader"]),
            role("all", &["a:*:*"], &[]),
            role("empty", &[], &[]),
        ];
        let mapping = |(number, name): (usize, &&str)| {
            let source = Source::Group { group: GroupName::DisplayName(number.to_string()) };
            let id = Id::from_bytes(&[number as u8; 16]).unwrap();
            (Mapping::new(id, name, source), 0)
        };
        let policy = Policy::new(vec![], all, mapped.iter().enumerate().map(mapping).collect());
        // A mapping that applies by two groups is one all the same.
        let hit = |mapping, group| Hit { mapping, group: Some(group) };
        let hits: Vec<Hit> = (0..mapped.len()).flat_map(|at| [hit(at, 1), hit(at, 2)]).collect();
        let loss = Loss::of(&policy, &hits, removed);
        assert_eq!(loss.roles.iter().map(String::as_str).collect::<Vec<_>>(), roles, "{mapped:?}");
        assert_eq!(loss.permissions.texts(), permissions, "{mapped:?}");
        assert_eq!(loss.is_empty(), roles.is_empty());
    }

    #[test]
    fn what_others_give_is_not_lost() {
        check(&["reader"], 0, &["reader"], &["a:x:read"]);
        check(&["reader", "reader"], 0, &[], &[]);
        check(&["writer"], 0, &["reader", "writer"], &["a:x:read", "a:x:write"]);
        check(&["writer", "reader"], 0, &["writer"], &["a:x:write"]);
        check(&["writer", "reader"], 1, &[], &[]);
        check(&["reader", "all"], 0, &["reader"], &[]);
        check(&["reader", "all"], 1, &["all"], &["a:*:*"]);
        check(&["empty"], 0, &["empty"], &[]);
    }
}
