//! Facts: what is known of principals and of the groups around them. What follows from it is [`super::access`]'s.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::id::Id;
use super::mapping::GroupName;
use super::principal::PrincipalKind;
use crate::scim::text;

/// What is known of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFacts {
    /// Its surrogate key.
    pub key: i64,
    /// Its id.
    pub id: Id,
    /// Its displayName.
    pub display: Option<String>,
    /// What connections call it.
    pub external_ids: Vec<String>,
}

impl GroupFacts {
    /// Whether a mapping's name is this group's.
    pub fn is_named(&self, name: &GroupName) -> bool {
        match name {
            GroupName::Id(id) => *id == self.id,
            GroupName::DisplayName(name) => {
                self.display.as_ref().is_some_and(|own| text::fold(own) == text::fold(name))
            }
            GroupName::ExternalId(name) => self.external_ids.contains(name),
        }
    }
}

/// A membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The surrogate key of the group.
    pub group: i64,
    /// The record since which it holds.
    pub from_seq: i64,
}

/// The groups around some principals.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    /// Each group that any of them is in, by surrogate key.
    pub known: HashMap<i64, GroupFacts>,
    /// The groups of each member, principals and groups alike, by its surrogate key.
    pub of: HashMap<i64, Vec<Edge>>,
}

impl Groups {
    /// The part of it that one member sees: what lies around many others costs it nothing then.
    pub fn around(&self, member: i64) -> Groups {
        let reached = self.reached(member);
        let known = reached.iter().filter_map(|key| Some((*key, self.known.get(key)?.clone())));
        let edges = reached.iter().chain([&member]).filter_map(|key| Some((*key, self.of.get(key)?.clone())));
        Groups { known: known.collect(), of: edges.collect() }
    }

    /// Every group that a resource is in, directly or through others, in no order.
    pub(super) fn reached(&self, member: i64) -> Vec<i64> {
        let (mut seen, mut open) = (HashSet::new(), vec![member]);
        while let Some(member) = open.pop() {
            for edge in self.of.get(&member).into_iter().flatten() {
                if seen.insert(edge.group) {
                    open.push(edge.group);
                }
            }
        }
        seen.into_iter().collect()
    }
}

/// What is known of a principal.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its id.
    pub id: Id,
    /// User or agent.
    pub kind: PrincipalKind,
    /// Whether it may act.
    pub live: bool,
    /// The record since which `live` is as it is.
    pub live_since: i64,
    /// Its resource; `None` for a local principal.
    pub resource: Option<ResourceFacts>,
}

/// What is known of a principal's resource.
#[derive(Clone, Debug)]
pub struct ResourceFacts {
    /// Its surrogate key.
    pub key: i64,
    /// Its document; empty if nothing asks for it.
    pub document: Map<String, Value>,
    /// The name of the connection that it comes from.
    pub connection: Option<String>,
}
