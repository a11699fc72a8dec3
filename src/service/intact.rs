//! Whether rows are as Keyroll wrote them.

use crate::domain::Tenant;
use crate::domain::secret::Keyring;
use crate::store::credentials::StoredCredential;

/// Whether a row is as Keyroll wrote it: who edits one by SQL kills the key instead of widening it.
pub(in crate::service) fn is_intact(keyring: &Keyring, tenant: &Tenant, stored: &StoredCredential) -> bool {
    keyring.row_mac_matches(&stored.credential.canonical(&tenant.id), &stored.mac)
}
