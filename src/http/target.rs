//! Where a request goes.

use crate::domain::Operation;

/// Where a request goes.
pub(super) struct MatchedRoute<'r> {
    pub(super) operation: Operation,
    pub(super) method: &'static str,
    pub(super) template: &'static str,
    /// The path without what does not count: `routes` takes it away.
    pub(super) path: &'r str,
    /// The variable segments, as sent.
    pub(super) endpoint: &'r str,
    pub(super) id: &'r str,
}
