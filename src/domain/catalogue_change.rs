//! A change of the catalogue: what one state of it has that the one before had not.

use std::collections::HashSet;

use super::api::Api;
use super::id::Id;
use super::mapping::Mapping;
use super::role::Role;

/// What came and went in a catalogue: items with the records that made them what they are.
#[derive(Debug, Default)]
pub struct CatalogueChange {
    /// Apis that are new or changed.
    pub apis: Vec<(Api, i64)>,
    /// Roles that are new or changed.
    pub roles: Vec<(Role, i64)>,
    /// Mappings that are new or changed.
    pub mappings: Vec<(Mapping, i64)>,
    /// What is no longer as it was: replaced or removed.
    pub gone: Removed,
}

/// Names of items that are no longer as they were.
#[derive(Debug, Default)]
pub struct Removed {
    /// Of apis.
    pub apis: HashSet<String>,
    /// Of roles.
    pub roles: HashSet<String>,
    /// Of mappings.
    pub mappings: HashSet<Id>,
}

impl CatalogueChange {
    /// Whether what roles give may be something else by it.
    pub(super) fn has_roles(&self) -> bool {
        let Removed { apis, roles, .. } = &self.gone;
        !(self.apis.is_empty() && self.roles.is_empty() && apis.is_empty() && roles.is_empty())
    }
}
