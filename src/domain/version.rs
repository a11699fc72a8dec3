//! Versions of what is shown of apis, roles and mappings: each is the number of a record.
//!
//! A role is shown with what the roles inside it give, and a mapping with what its role gives. So the version
//! of each is the newest record that made it or a role that it reaches. Whatever changes the answer moves it, and
//! so does what does not show, such as the description of a role inside. It never goes back: what a role
//! reaches is another only by a change of a role that it still reaches.

use super::policy::{Mapped, Policy};

/// The version of what comes with Keyroll: it is as old as the log.
const BUILT_IN: i64 = 0;

impl Policy {
    /// The version of an api.
    pub fn api_version(&self, name: &str) -> i64 {
        self.roles.recorded_at.apis.get(name).copied().unwrap_or(BUILT_IN)
    }

    /// The version of a role and of what it gives.
    pub fn role_version(&self, name: &str) -> i64 {
        let reached = self.gains(name).iter().filter_map(|gain| self.roles.recorded_at.roles.get(&gain.role));
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
    use crate::domain::catalogue_change::CatalogueChange;
    use crate::domain::mapping::Source;
    use crate::domain::{Id, Mapping, Role};

    /// Roles by name, what they include and the record that made them; one mapping to the first.
    #[track_caller]
    fn check(roles: &[(&str, &[&str], i64)], mapping: i64, versions: (i64, i64)) {
        let role = |(name, includes, seq): &(&str, &[&str], i64)| {
            let role = Role {
                name: (*name).to_owned(),
                description: String::new(),
                permissions: Vec::new().into(),
                includes: includes.iter().map(|name| (*name).to_owned()).collect(),
                assertable_by: vec![],
            };
            (role, *seq)
        };
        let first = roles[0].0;
        let source = Source::Rule { rule: "title pr".to_owned() };
        let mapping = (Mapping::new(Id::from_bytes(&[1; 16]).unwrap(), first, source), mapping);
        let changes = CatalogueChange {
            roles: roles.iter().map(role).collect(),
            mappings: vec![mapping],
            ..CatalogueChange::default()
        };
        let policy = Policy::default().with(changes);
        assert_eq!(
            (policy.role_version(first), policy.mapping_version(policy.mapped(0).unwrap())),
            versions,
            "{roles:?}"
        );
    }

    #[test]
    fn what_is_reached_counts_and_nothing_else() {
        check(&[("a", &[], 7)], 9, (7, 9));
        check(&[("a", &[], 9)], 7, (9, 9));
        check(&[("a", &["b"], 7), ("b", &[], 8)], 3, (8, 8));
        check(&[("a", &["b"], 7), ("b", &["c"], 8), ("c", &[], 11)], 3, (11, 11));
        check(&[("a", &[], 7), ("b", &["a"], 8)], 3, (7, 7));
        check(&[("a", &["keyroll.auditor"], 7)], 3, (7, 7));
        let api = serde_json::from_str(r#"{"name":"x"}"#).unwrap();
        let policy = Policy::default().with(CatalogueChange { apis: vec![(api, 5)], ..CatalogueChange::default() });
        assert_eq!((policy.api_version("x"), policy.api_version("keyroll")), (5, 0));
        assert_eq!(Policy::new(vec![], vec![], vec![]).role_version("keyroll.admin"), 0);
    }
}
