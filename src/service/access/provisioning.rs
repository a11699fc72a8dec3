//! What provisioning keys may do.

use std::sync::{Arc, LazyLock};

use crate::domain::{Operation, Permission, Permissions};

/// What a provisioning key may do: the SCIM part of Keyroll's own api, and nothing else.
pub(in crate::service) fn scim_permissions() -> Permissions {
    let types = crate::service::registry().types.iter();
    let of_types =
        types.flat_map(|one| [Operation::Read, Operation::Create].map(|op| op.permission_for(&one.endpoint)));
    let of_catalogue = [Operation::Roles, Operation::Entitlements].map(|op| op.permission().to_owned());
    of_types.chain(of_catalogue).filter_map(|text| Permission::parse(&text)).collect()
}

/// The same as the access of a connection's agent: its authority is the connection's, not a role's.
pub(in crate::service) fn scim_access() -> Arc<Permissions> {
    static ACCESS: LazyLock<Arc<Permissions>> = LazyLock::new(|| Arc::new(scim_permissions()));
    Arc::clone(&ACCESS)
}
