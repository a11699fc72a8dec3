//! Keyroll's nouns, pure: what they are and which rules they carry by themselves.
//!
//! Time and randomness come in as arguments; rows, HTTP and use cases are other layers' matters.

pub mod caller;
pub mod clock;
pub mod credential;
pub mod duration;
pub mod id;
pub mod log;
pub mod operation;
pub mod permission;
pub mod principal;
pub mod secret;
pub mod tenant;

pub use caller::Caller;
pub use credential::Credential;
pub use id::Id;
pub use operation::Operation;
pub use permission::{Permission, Permissions};
pub use principal::Principal;
pub use tenant::{Connection, Tenant, TenantKey};
