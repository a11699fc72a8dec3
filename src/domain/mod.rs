//! Keyroll's nouns, pure: what they are and which rules they carry by themselves.
//!
//! Time and randomness come in as arguments; rows, HTTP and use cases are other layers' matters.

pub mod access;
pub mod api;
pub mod caller;
pub mod catalogue_change;
pub mod class;
pub mod clock;
pub mod credential;
pub mod duration;
pub mod facts;
pub mod id;
pub mod log;
pub mod loss;
pub mod mapping;
pub mod moment;
pub mod nearest;
pub mod operation;
pub mod permission;
pub mod policy;
pub mod principal;
pub mod role;
pub mod roles;
pub mod secret;
pub mod tenant;
pub mod version;
mod ways;

pub use api::Api;
pub use caller::Caller;
pub use class::Class;
pub use credential::Credential;
pub use id::Id;
pub use mapping::Mapping;
pub use operation::Operation;
pub use permission::{Permission, Permissions};
pub use policy::Policy;
pub use principal::Principal;
pub use role::Role;
pub use tenant::{Connection, Tenant, TenantKey};
