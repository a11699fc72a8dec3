//! Who comes back by an identity provider's word: the agents that would come back with them, and hold a permission of
//! Keyroll, wait for an admin. The person is not refused for it, or leaving once would be leaving for good.

use crate::domain::{Id, Principal};
use crate::service::access::liveness;
use crate::service::directory::resources::principal::settle;
use crate::service::impact::protect;
use crate::service::{Change, Error};
use crate::store;

/// The reason in the record of such an agent's suspension.
const SPONSOR_RETURNED: &str = "sponsor_returned";

/// Puts an admin's hold on the agents that nobody else who is live answers for. The one who returns is not live yet.
pub(in crate::service::directory::resources) fn hold_agents(change: &mut Change<'_>, id: &Id) -> Result<(), Error> {
    if change.context.caller.connection().is_none() {
        return Ok(());
    }
    let (policy, tenant) = (change.policy()?, change.key());
    if !policy.keyroll_by_agents() {
        return Ok(());
    }
    let mut agents = liveness::sponsored_by(change.conn, tenant, id)?;
    let live = liveness::sponsored(change.conn, tenant, &agents)?;
    agents.retain(|agent| !live.contains(agent));
    agents.sort_unstable();
    for (agent, _) in protect::guarded_agents(change, &policy, &agents)? {
        if let Some(before) = store::principals::find(change.conn, tenant, &agent)? {
            let after = Principal { admin_hold: true, ..before.clone() };
            settle(change, &before, after, Some(SPONSOR_RETURNED))?;
        }
    }
    Ok(())
}
