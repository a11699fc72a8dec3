//! Versions of what is shown of apis, roles and mappings: each is the number of a record.
//!
//! A role is shown with what the roles inside it give, and a mapping with what its role gives. So the version
//! of each is the newest record that made it or a role that it reaches. Whatever changes the answer moves it, and
//! so does what does not show, such as the description of a role inside. It never goes back: what a role
//! reaches is another only by a change of a role that it still reaches.

use std::collections::HashMap;

use super::policy::{Mapped, Policy};

/// Which record made each api and each role what it is, by name. Keyroll's own have none.
#[derive(Clone, Debug, Default)]
pub struct Made {
    /// Apis.
    pub apis: HashMap<String, i64>,
    /// Roles.
    pub roles: HashMap<String, i64>,
}

/// The version of what comes with Keyroll: it is as old as the log.
const BUILT_IN: i64 = 0;

impl Policy {
    /// The same policy, with the records that made it.
    #[must_use]
    pub fn made_by(mut self, made: Made) -> Policy {
        self.made = made;
        self
    }

    /// The version of an api.
    pub fn api_version(&self, name: &str) -> i64 {
        self.made.apis.get(name).copied().unwrap_or(BUILT_IN)
    }

    /// The version of a role and of what it gives.
    pub fn role_version(&self, name: &str) -> i64 {
        let reached = self.gains(name).iter().filter_map(|gain| self.made.roles.get(&gain.role));
        reached.copied().max().unwrap_or(BUILT_IN)
    }

    /// The version of a mapping and of what its role gives.
    pub fn mapping_version(&self, mapped: &Mapped) -> i64 {
        mapped.from_seq.max(self.role_version(&mapped.mapping.role))
    }
}

impl Mapped {
    /// The record since which the mapping gives its role to those whom it means.
    pub fn since_seq(&self) -> i64 {
        self.mapping.since_seq.unwrap_or(self.from_seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mapping::Source;
    use crate::domain::{Id, Mapping, Role};

    /// Roles by name, what they include and the record that made them; one mapping to the first.
    #[track_caller]
    fn check(roles: &[(&str, &[&str], i64)], mapping: i64, versions: (i64, i64)) {
        let role = |(name, includes, _): &(&str, &[&str], i64)| Role {
            name: (*name).to_owned(),
            description: String::new(),
            permissions: Vec::new().into(),
            includes: includes.iter().map(|name| (*name).to_owned()).collect(),
            assertable_by: vec![],
        };
        let made = roles.iter().map(|(name, _, seq)| ((*name).to_owned(), *seq)).collect();
        let first = roles[0].0;
        let source = Source::Rule { rule: "title pr".to_owned() };
        let mapping = (Mapping::new(Id::from_bytes(&[1; 16]).unwrap(), first, source), mapping);
        let policy = Policy::new(vec![], roles.iter().map(role).collect(), vec![mapping]);
        let policy = policy.made_by(Made { roles: made, ..Made::default() });
        assert_eq!((policy.role_version(first), policy.mapping_version(&policy.mappings[0])), versions, "{roles:?}");
    }

    #[test]
    fn what_is_reached_counts_and_nothing_else() {
        check(&[("a", &[], 7)], 9, (7, 9));
        check(&[("a", &[], 9)], 7, (9, 9));
        check(&[("a", &["b"], 7), ("b", &[], 8)], 3, (8, 8));
        check(&[("a", &["b"], 7), ("b", &["c"], 8), ("c", &[], 11)], 3, (11, 11));
        check(&[("a", &[], 7), ("b", &["a"], 8)], 3, (7, 7));
        check(&[("a", &["keyroll.auditor"], 7)], 3, (7, 7));
        let policy = Policy::default().made_by(Made { apis: [("x".to_owned(), 5)].into(), ..Made::default() });
        assert_eq!((policy.api_version("x"), policy.api_version("keyroll")), (5, 0));
        assert_eq!(Policy::new(vec![], vec![], vec![]).role_version("keyroll.admin"), 0);
    }
}
