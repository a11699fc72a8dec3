//! Tenants and their connections.

use chrono::{DateTime, Utc};

use super::id::Id;
use crate::scim::tolerance::Dialect;

/// The surrogate key of a tenant: the first argument of nearly every store function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantKey(pub i64);

/// The isolation boundary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its surrogate key.
    pub key: TenantKey,
    /// Its id; also the name of its log.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: DateTime<Utc>,
}

/// One identity provider's link into a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its surrogate key.
    pub key: i64,
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// Which deviations from the RFCs it accepts.
    pub dialect: Dialect,
    /// The local Agent that owns its provisioning keys.
    pub agent: Id,
    /// Whether a displayName may name only one group of this connection.
    pub unique_group_names: bool,
    /// Whether an externalId may name only one resource of a type of this connection. Off by default: whether it is
    /// unique is the client's affair (RFC 7643 §3.1).
    pub unique_external_ids: bool,
}
