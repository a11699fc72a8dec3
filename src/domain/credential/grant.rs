//! A key's ceiling: what it may at most be used for, and when.

use super::when::{Circumstances, When};
use crate::domain::permission::{Permission, Permissions};

/// A key's ceiling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Proves who the owner is, and nothing else.
    Identity,
    /// At most what one of these parts covers.
    Parts(Vec<GrantPart>),
}

/// Permissions, and what must hold for them to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantPart {
    /// At most these.
    pub permissions: Permissions,
    /// If this holds.
    pub when: When,
}

/// Whether a grant covers a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covered {
    /// It does.
    Yes,
    /// Under conditions, none of which holds.
    Conditions,
    /// It does not, whatever holds.
    No,
}

impl Grant {
    /// These permissions, at any time and from anywhere.
    pub fn of(permissions: Permissions) -> Grant {
        Grant::Parts(vec![GrantPart { permissions, when: When::default() }])
    }

    /// Its parts; none of an identity key.
    pub fn parts(&self) -> &[GrantPart] {
        match self {
            Grant::Identity => &[],
            Grant::Parts(parts) => parts,
        }
    }

    /// Whether any of it hangs on a condition.
    pub fn is_conditional(&self) -> bool {
        self.parts().iter().any(|part| !part.when.is_always())
    }

    /// All its permissions, whatever holds; `None` of an identity key.
    pub fn permissions(&self) -> Option<Permissions> {
        match self {
            Grant::Identity => None,
            Grant::Parts(_) => Some(self.parts_where(|_| true)),
        }
    }

    /// What counts of it under no condition at all.
    pub fn always(&self) -> Permissions {
        self.parts_where(|when| when.is_always())
    }

    /// What counts of it under these circumstances.
    pub fn counting(&self, given: &Circumstances) -> Permissions {
        self.parts_where(|when| when.holds(given))
    }

    fn parts_where(&self, holds: impl Fn(&When) -> bool) -> Permissions {
        let parts = self.parts().iter().filter(|part| holds(&part.when));
        parts.flat_map(|part| part.permissions.iter()).cloned().collect()
    }

    /// Whether it covers a permission under these circumstances.
    pub fn covers(&self, permission: &Permission, given: &Circumstances) -> Covered {
        let mut covered = Covered::No;
        for part in self.parts().iter().filter(|part| part.permissions.cover(permission)) {
            if part.when.holds(given) {
                return Covered::Yes;
            }
            covered = Covered::Conditions;
        }
        covered
    }

    /// Whether some of it counts under these circumstances: of an identity key, that it tells whose it is.
    pub fn counts(&self, given: &Circumstances) -> bool {
        *self == Grant::Identity || self.parts().iter().any(|part| part.when.holds(given))
    }

    /// Whether a part is no wider than this grant: its permissions are covered by parts that ask for nothing beside what
    /// it asks for itself.
    ///
    /// # Errors
    /// With the first permission that is not.
    pub fn check_within(&self, part: &GrantPart) -> Result<(), Permission> {
        let is_as_strict = |own: &&GrantPart| own.when.is_always() || own.when == part.when;
        let covered =
            |one: &&Permission| self.parts().iter().filter(is_as_strict).any(|own| own.permissions.cover(one));
        match part.permissions.iter().find(|one| !covered(one)) {
            Some(wider) => Err(wider.clone()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn part(permissions: &[&str], when: Value) -> GrantPart {
        let permissions = Permissions::parse(permissions.iter().copied()).unwrap();
        GrantPart { permissions, when: serde_json::from_value(when).unwrap() }
    }

    fn one(text: &str) -> Permission {
        Permission::parse(text).unwrap()
    }

    #[test]
    fn each_part_counts_by_its_own_conditions() {
        let grant = Grant::Parts(vec![
            part(&["billing:invoices:read"], json!({})),
            part(&["billing:*:write"], json!({"environment": ["prod"]})),
        ]);
        let nowhere = Circumstances::default();
        let prod = Circumstances { environment: Some("prod".to_owned()), ..Circumstances::default() };
        assert_eq!(grant.covers(&one("billing:invoices:read"), &nowhere), Covered::Yes);
        assert_eq!(grant.covers(&one("billing:invoices:write"), &nowhere), Covered::Conditions);
        assert_eq!(grant.covers(&one("billing:invoices:write"), &prod), Covered::Yes);
        assert_eq!(grant.covers(&one("billing:invoices:delete"), &prod), Covered::No);
        assert!(grant.counts(&nowhere));
        let strict = Grant::Parts(vec![part(&["billing:*:write"], json!({"environment": ["prod"]}))]);
        assert!(!strict.counts(&nowhere) && strict.counts(&prod) && Grant::Identity.counts(&nowhere));
        assert_eq!(Grant::Identity.covers(&one("billing:invoices:read"), &prod), Covered::No);
    }

    #[test]
    fn a_part_is_within_what_is_as_strict() {
        let grant = Grant::Parts(vec![
            part(&["billing:invoices:*"], json!({})),
            part(&["billing:payments:*"], json!({"environment": ["prod"]})),
        ]);
        for (inside, within) in [
            (part(&["billing:invoices:read"], json!({})), true),
            (part(&["billing:invoices:read"], json!({"ip": ["203.0.113.0/24"]})), true),
            (part(&["billing:payments:read"], json!({"environment": ["prod"]})), true),
            (part(&["billing:payments:read"], json!({})), false),
            (part(&["billing:payments:read"], json!({"environment": ["prod", "test"]})), false),
            (part(&["billing:invoices:read", "billing:*:read"], json!({})), false),
        ] {
            assert_eq!(grant.check_within(&inside).is_ok(), within, "{inside:?}");
        }
    }
}
