//! Prevention of privilege escalation: what a write through SCIM means for access, and whether it may.
//!
//! Over what gives permissions of Keyroll itself a connection may only reduce (design §5): no mapping that gives
//! such a permission comes to apply by what an identity provider writes, whatever the source, and who or what
//! gives one is not renamed. What somebody holds already does not count: it may end, by its date or by an admin,
//! and a second way to the same permission would outlive it. So ways are compared, never what they give. The
//! check is made under the lock of the log, so no mapping slips in beside it.

mod agents;
mod groups;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::domain::access::{self, Hit};
use crate::domain::facts::{Facts, Groups, ResourceFacts};
use crate::domain::log::Entry;
use crate::domain::principal::PrincipalKind;
use crate::domain::{Id, Permissions, Policy};
use crate::scim::ResourceType;
use crate::scim::text;
use crate::service::access::facts::{self, connection_names};
use crate::service::impact::affected::Affected;
use crate::service::{Change, Error};
use crate::store::ResourceKey;

pub(in crate::service) use self::agents::{AskedOfAgent, guarded_agents, only_lose_sponsors};
use self::groups::mappings_around;
pub(in crate::service) use self::groups::{Asked, Effect, MemberChange, only_reduce};

const ACTIVE: &str = "active";

/// What a write does to one resource, as far as access depends on it.
pub(in crate::service) struct Write<'w> {
    pub(in crate::service) resource_type: &'static ResourceType,
    pub(in crate::service) id: Id,
    pub(in crate::service) key: ResourceKey,
    /// Which connection it comes from.
    pub(in crate::service) connection: Option<i64>,
    /// The document before; `None` for a new resource.
    pub(in crate::service) before: Option<&'w Map<String, Value>>,
    /// The document after; `None` for one that is deleted.
    pub(in crate::service) after: Option<&'w Map<String, Value>>,
    /// What connections called it before, and call it after; `None` if the write leaves that as it is.
    pub(in crate::service) external_ids: Option<(Vec<String>, Vec<String>)>,
    /// Whether members come in, and whether any go.
    pub(in crate::service) adds: bool,
    pub(in crate::service) removes: bool,
}

/// Looks at a write that is done but not recorded yet: refuses it, or gives what its record must name.
pub(in crate::service) fn check_write(change: &mut Change<'_>, write: &Write<'_>) -> Result<Affected, Error> {
    let policy = change.policy()?;
    if write.resource_type.rows.is_some() {
        groups::check_write(change, &policy, write)
    } else if write.resource_type.principal {
        principal(change, &policy, write)
    } else {
        Ok(Affected::default())
    }
}

fn principal(change: &mut Change<'_>, policy: &Policy, write: &Write<'_>) -> Result<Affected, Error> {
    if write.after.is_none() {
        return left(change, policy, write);
    }
    let mut affected = Affected::default();
    // Who ends inactive holds nothing, whatever else the write does: nothing keeps a leaver alive. To come back
    // is refused.
    let by_connection = change.context.caller.connection().is_some() && is_active(write.after);
    if by_connection && policy.keyroll_by_agents() {
        agents::check_sponsors(change, policy, write)?;
    }
    let is_person = !policy.of_person(&write.id).is_empty();
    let guarded = by_connection && (is_person || policy.keyroll_by_scim());
    let (Some(after), true) = (write.after, guarded || policy.reads_documents()) else {
        return Ok(affected);
    };
    let tenant = change.key();
    let (facts, groups) = facts::of(change.service, change.conn, tenant, policy, &[write.id], None)?;
    let Some(now) = facts.into_iter().next() else { return Ok(affected) };
    let then = Facts { resource: now.resource.clone().map(|one| with(one, write.before)), ..now.clone() };
    let hits = |facts: &Facts| -> BTreeSet<Hit> {
        access::potential(policy, facts, &groups, change.now).into_iter().collect()
    };
    let (had, has) = (if write.before.is_some() { hits(&then) } else { BTreeSet::new() }, hits(&now));
    affected.add(policy, mapped(&had).symmetric_difference(&mapped(&has)).copied());
    if guarded {
        let (held, holds) = (keyroll(policy, &mapped(&had)), keyroll(policy, &mapped(&has)));
        let gains = !keyroll(policy, &mapped(&(&has - &had))).is_empty();
        let revives = is_active(Some(after)) && !is_active(write.before) && !holds.is_empty();
        let renames =
            !held.is_empty() && write.before.is_some_and(|before| is_renamed(write.resource_type, before, after));
        let what = "a principal that holds a permission of Keyroll";
        if gains || renames {
            return Err(refused(change, write, &[held, holds], what));
        }
        if revives {
            let kind = write.resource_type.name.to_ascii_lowercase();
            let way = format!("on the server's host: keyroll {kind} activate {} --force", write.id);
            return Err(protected(change, write, &[held, holds], format!("{what} is made active by an admin, {way}")));
        }
    }
    Ok(affected)
}

/// A principal that is deleted: every mapping that applied to it. Its memberships still stand.
fn left(change: &mut Change<'_>, policy: &Policy, write: &Write<'_>) -> Result<Affected, Error> {
    let (mut affected, tenant) = (Affected::default(), change.key());
    let names = connection_names(change.conn, tenant, policy)?;
    let resource = ResourceFacts {
        key: write.key.0,
        document: write.before.cloned().unwrap_or_default(),
        connection: write.connection.and_then(|key| names.get(&key).cloned()),
    };
    let kind = PrincipalKind::of_type(write.resource_type);
    let kind = kind.ok_or_else(|| Error::internal("a type of no principals"))?;
    let facts = Facts { id: write.id, kind, live: true, live_since: 0, resource: Some(resource) };
    let alone = access::potential(policy, &facts, &Groups::default(), change.now);
    affected.add(policy, alone.iter().map(|hit| hit.mapping));
    if policy.has_groups() {
        affected.add(policy, mappings_around(change, policy, write.key)?);
    }
    Ok(affected)
}

/// Whether a document says of a principal that it is active.
pub(in crate::service) fn is_active(document: Option<&Map<String, Value>>) -> bool {
    document.and_then(|one| one.get(ACTIVE)).and_then(Value::as_bool).unwrap_or(false)
}

fn with(mut resource: ResourceFacts, document: Option<&Map<String, Value>>) -> ResourceFacts {
    resource.document = document.cloned().unwrap_or_default();
    resource
}

fn is_renamed(resource_type: &ResourceType, before: &Map<String, Value>, after: &Map<String, Value>) -> bool {
    let folded = |document: &Map<String, Value>, name: &str| {
        document.get(name).and_then(Value::as_str).map(|name| text::fold(name).into_owned())
    };
    resource_type.names().any(|one| folded(before, &one.name) != folded(after, &one.name))
}

/// The mappings by which something is held.
fn mapped<'h>(hits: impl IntoIterator<Item = &'h Hit>) -> BTreeSet<usize> {
    hits.into_iter().map(|hit| hit.mapping).collect()
}

/// The permissions of Keyroll's own api that some mappings give.
fn keyroll(policy: &Policy, mappings: &BTreeSet<usize>) -> Permissions {
    let mapped = mappings.iter().filter_map(|at| policy.mapped(*at));
    mapped.flat_map(|one| policy.keyroll_of(one).iter().cloned().collect::<Vec<_>>()).collect()
}

/// 403, with a record of it: see `change::perform`.
fn refused(change: &Change<'_>, write: &Write<'_>, permissions: &[Permissions], what: &str) -> Error {
    protected(change, write, permissions, format!("{what} is only reduced by an identity provider: an admin does this"))
}

fn protected(change: &Change<'_>, write: &Write<'_>, permissions: &[Permissions], detail: String) -> Error {
    let entry = refusal(change, write.resource_type, write.id, permissions);
    Error::Protected { detail, entry: Box::new(entry) }
}

/// The record of a refusal: what was attempted, and the permissions that it is about.
fn refusal(change: &Change<'_>, resource_type: &ResourceType, id: Id, permissions: &[Permissions]) -> Entry {
    let kind = resource_type.name.to_ascii_lowercase();
    let permissions: Permissions = permissions.iter().flat_map(Permissions::iter).cloned().collect();
    let texts: Vec<String> = permissions.texts().into_iter().map(str::to_owned).collect();
    Entry::new("access.refused", kind, id)
        .with("attempted", change.operation.action_for(&resource_type.name))
        .with("permissions", texts)
        .refused()
}
