//! Apis and roles as they were defined, and what each role gives.

use std::collections::{BTreeMap, HashMap};

use super::api::{self, Api};
use super::catalogue_change::CatalogueChange;
use super::permission::{KEYROLL, Permission, Permissions};
use super::role::{self, Role};

/// In how many ways a role may reach the roles that it includes, itself counted.
pub const INCLUSIONS_MAX: usize = 1_000;

/// How many roles deep inclusions may go: what a role gives is worked out with every change of a role.
pub const INCLUSION_DEPTH_MAX: usize = 16;

/// A tenant's apis and roles, Keyroll's own included.
#[derive(Clone, Debug)]
pub struct Roles {
    /// Apis by name.
    pub(super) apis: BTreeMap<String, Api>,
    /// Roles by name.
    pub(super) roles: BTreeMap<String, Role>,
    /// Which record made each what it is. Keyroll's own have none.
    pub(super) recorded_at: RecordedAt,
    gains: HashMap<String, Vec<Gain>>,
    permissions: HashMap<String, Permissions>,
}

/// Numbers of records by name.
#[derive(Clone, Debug, Default)]
pub(super) struct RecordedAt {
    pub(super) apis: HashMap<String, i64>,
    pub(super) roles: HashMap<String, i64>,
}

/// A role that comes with a mapped one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gain {
    /// The role.
    pub role: String,
    /// The including roles, outermost first; empty for the mapped role itself.
    pub via: Vec<String>,
}

impl Default for Roles {
    /// Keyroll's own.
    fn default() -> Roles {
        let apis = [api::keyroll()].into_iter().map(|api| (api.name.clone(), api)).collect();
        let roles = role::built_in().into_iter().map(|role| (role.name.clone(), role)).collect();
        let (recorded_at, gains, permissions) = (RecordedAt::default(), HashMap::new(), HashMap::new());
        Roles { apis, roles, recorded_at, gains, permissions }.worked_out()
    }
}

impl Roles {
    /// The same, as some apis and roles were changed.
    pub(super) fn with(&self, changes: &mut CatalogueChange) -> Roles {
        let (mut apis, mut roles, mut recorded_at) = (self.apis.clone(), self.roles.clone(), self.recorded_at.clone());
        for name in &changes.gone.apis {
            apis.remove(name);
            recorded_at.apis.remove(name);
        }
        for name in &changes.gone.roles {
            roles.remove(name);
            recorded_at.roles.remove(name);
        }
        for (api, seq) in changes.apis.drain(..) {
            recorded_at.apis.insert(api.name.clone(), seq);
            apis.insert(api.name.clone(), api);
        }
        for (role, seq) in changes.roles.drain(..) {
            recorded_at.roles.insert(role.name.clone(), seq);
            roles.insert(role.name.clone(), role);
        }
        Roles { apis, roles, recorded_at, gains: HashMap::new(), permissions: HashMap::new() }.worked_out()
    }

    fn worked_out(mut self) -> Roles {
        for name in self.roles.keys() {
            let gains = self.reach(name);
            let given = gains.iter().filter_map(|gain| self.roles.get(&gain.role));
            let all: Permissions = given.flat_map(|role| role.permissions.iter().cloned()).collect();
            self.permissions.insert(name.clone(), all);
            self.gains.insert(name.clone(), gains);
        }
        self
    }

    /// Every way from a role to the roles it gives, itself first.
    fn reach(&self, name: &str) -> Vec<Gain> {
        let mut found = vec![];
        let mut open = vec![Gain { role: name.to_owned(), via: vec![] }];
        while let Some(gain) = open.pop() {
            if let Some(role) = self.roles.get(&gain.role) {
                // One deeper than may be is kept, so that whoever looks at it sees it.
                let inside = if gain.via.len() > INCLUSION_DEPTH_MAX { &[][..] } else { &role.includes };
                for inner in inside.iter().rev().filter(|inner| !gain.via.contains(inner) && **inner != gain.role) {
                    let via = gain.via.iter().cloned().chain([gain.role.clone()]).collect();
                    open.push(Gain { role: inner.clone(), via });
                }
                found.push(gain);
            }
            if found.len() + open.len() > INCLUSIONS_MAX {
                // Too many to use: kept, so that whoever counts them sees it.
                found.append(&mut open);
            }
        }
        found
    }

    /// See [`super::Policy::gains`].
    pub(super) fn gains(&self, role: &str) -> &[Gain] {
        self.gains.get(role).map_or(&[], Vec::as_slice)
    }

    /// See [`super::Policy::permissions`].
    pub(super) fn permissions(&self, role: &str) -> Option<&Permissions> {
        self.permissions.get(role)
    }

    /// Whether a role gives a permission of Keyroll's own api.
    pub(super) fn gives_keyroll(&self, role: &str) -> bool {
        self.permissions(role).is_some_and(|all| all.iter().any(|own| own.api() == KEYROLL))
    }

    /// The roles that give a permission.
    pub(super) fn giving<'r>(&'r self, permission: &'r Permission) -> impl Iterator<Item = &'r str> {
        self.permissions.iter().filter(|(_, all)| all.cover(permission)).map(|(name, _)| name.as_str())
    }
}
