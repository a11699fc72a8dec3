//! What subjects may do at this moment: principals by their access, keys by their grant ∩ their owner's access.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::domain::class::Class;
use crate::domain::credential::{Circumstances, Verdict};
use crate::domain::facts::Facts;
use crate::domain::principal::{OPERATOR, PrincipalKind};
use crate::domain::{Id, Permission, Permissions, Policy, Principal, TenantKey, access};
use crate::service::access::provisioning::scim_access;
use crate::service::access::{facts, liveness, policy};
use crate::service::intact::is_intact;
use crate::service::memory::Effective;
use crate::service::{Cached, Context, Error, Service, memory};
use crate::store::credentials::StoredCredential;
use crate::store::{self, Conn};

/// Who is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::service) enum Subject {
    /// A User or an Agent.
    Principal(PrincipalKind, Id),
    /// The operator, by its name.
    Operator,
    /// A key, by the id of its record.
    Key(Id),
    /// Nobody that Keyroll could know.
    Nobody,
}

/// What a subject may do.
#[derive(Clone, Debug, Default)]
pub(in crate::service) struct Held {
    access: Arc<Permissions>,
    ceiling: Option<Permissions>,
    /// Why a key is worth nothing.
    pub(in crate::service) dead: Option<Verdict>,
}

impl Held {
    fn of(access: Arc<Permissions>) -> Held {
        Held { access, ceiling: None, dead: None }
    }

    /// Whether the subject may use a permission.
    pub(in crate::service) fn may(&self, permission: &Permission) -> bool {
        self.access.cover(permission) && self.ceiling.as_ref().is_none_or(|ceiling| ceiling.cover(permission))
    }

    /// What was granted to it: permissions and patterns, each of which the rest may narrow down.
    pub(in crate::service) fn granted(&self) -> impl Iterator<Item = &Permission> {
        self.access.iter().chain(self.ceiling.iter().flat_map(Permissions::iter))
    }
}

/// What some subjects may do, under the policy that says so.
pub(in crate::service) struct Standings {
    pub(in crate::service) policy: Arc<Policy>,
    held: HashMap<Subject, Held>,
}

impl Standings {
    /// What a subject may do: nothing, if it is not known.
    pub(in crate::service) fn of(&self, subject: &Subject) -> Held {
        self.held.get(subject).cloned().unwrap_or_default()
    }
}

/// What some subjects may do now: from memory as far as nothing that decides it has changed, the rest
/// read together. Subjects that there are not, in this tenant, are left out.
pub(in crate::service) fn of(
    service: &Service,
    context: &Context,
    subjects: &HashSet<Subject>,
) -> Result<Standings, Error> {
    // Anew: since the request began, its body may have been long in coming.
    let (tenant, stamp) = (context.caller.tenant.key, memory::stamp(service, context.caller.tenant.key)?);
    let asked = |subject: &Subject| if let Subject::Principal(_, id) = subject { Some(*id) } else { None };
    let cached = |id: Id| Some((id, memory::known_access(service, tenant, id, memory::now_in(service, tenant))?));
    let mut effective: HashMap<Id, Arc<Effective>> = subjects.iter().filter_map(asked).filter_map(cached).collect();
    let is_known = |subject: &Subject| match subject {
        Subject::Principal(_, id) => effective.contains_key(id),
        Subject::Operator | Subject::Key(_) => false,
        Subject::Nobody => true,
    };
    let policy = policy::cached(service, tenant).filter(|_| subjects.iter().all(is_known));
    let mut found = match policy {
        Some(policy) => ReadStandings { policy, keys: vec![], operator: None, effective: vec![] },
        None => service.read(|conn| {
            let are_principals = subjects.iter().all(|subject| asked(subject).is_some());
            let find = |conn: &mut Conn| find_held(service, conn, context, subjects, &effective);
            if are_principals { find(conn) } else { store::snapshot(conn, find) }
        })?,
    };
    for (id, own) in std::mem::take(&mut found.effective) {
        effective.insert(id, memory::remember_access(service, (tenant, id), own, stamp));
    }
    let mut held = HashMap::with_capacity(subjects.len());
    for subject in subjects {
        let own = match subject {
            Subject::Principal(kind, id) => effective.get(id).filter(|found| found.kind == *kind),
            Subject::Operator => found.operator.and_then(|id| effective.get(&id)),
            Subject::Key(_) | Subject::Nobody => None,
        };
        held.extend(own.map(|own| (subject.clone(), Held::of(Arc::clone(&own.permissions)))));
    }
    for key in found.keys {
        let access = effective.get(&key.owner.id).map(|found| Arc::clone(&found.permissions));
        held.insert(Subject::Key(key.stored.credential.id), held_by_key(service, tenant, key, access));
    }
    Ok(Standings { policy: found.policy, held })
}

/// What one subject may do, a User or an Agent by id, by what is remembered alone.
pub(in crate::service) fn cached(memory: &Cached<'_>, context: &Context, subject: &Subject) -> Option<Standings> {
    let (Subject::Principal(kind, id), tenant) = (subject, context.caller.tenant.key) else { return None };
    if !memory.follows(tenant) {
        return None;
    }
    let known = memory::known_access(memory.service, tenant, *id, memory::now_in(memory.service, tenant))?;
    let policy = policy::cached(memory.service, tenant)?;
    let own = (known.kind == *kind).then(|| (subject.clone(), Held::of(Arc::clone(&known.permissions))));
    Some(Standings { policy, held: own.into_iter().collect() })
}

/// Reads what is not known yet about some subjects.
fn find_held(
    service: &Service,
    conn: &mut Conn,
    context: &Context,
    subjects: &HashSet<Subject>,
    known: &HashMap<Id, Arc<Effective>>,
) -> Result<ReadStandings, Error> {
    let tenant = context.caller.tenant.key;
    let keys = keys_in(service, conn, context, subjects)?;
    let operator = match subjects.contains(&Subject::Operator) {
        true => store::principals::local_by_name(conn, tenant, OPERATOR)?.map(|operator| operator.id),
        false => None,
    };
    let asked = subjects.iter().filter_map(|subject| match subject {
        Subject::Principal(_, id) => Some(*id),
        Subject::Operator | Subject::Key(_) | Subject::Nobody => None,
    });
    let ids: HashSet<Id> = asked.chain(keys.iter().map(|key| key.owner.id)).chain(operator).collect();
    let missing: Vec<Id> = ids.into_iter().filter(|id| !known.contains_key(id)).collect();
    let (policy, facts, groups) = facts::now(service, conn, tenant, &missing)?;
    let judge = |facts: &Facts| {
        let hits = access::hits(&policy, facts, &groups, memory::now_in(service, tenant));
        let until = access::valid_until(&policy, &hits);
        (facts.id, Effective::new(facts.kind, access::permissions(&policy, &hits), until))
    };
    let effective = facts.iter().map(judge).collect();
    Ok(ReadStandings { policy, keys, operator, effective })
}

/// The keys among some subjects, with their owners.
fn keys_in(
    service: &Service,
    conn: &mut Conn,
    context: &Context,
    subjects: &HashSet<Subject>,
) -> Result<Vec<OwnedKey>, Error> {
    let id = |subject: &Subject| if let Subject::Key(id) = subject { Some(*id) } else { None };
    let ids: Vec<Id> = subjects.iter().filter_map(id).collect();
    if ids.is_empty() {
        return Ok(vec![]);
    }
    let tenant = &context.caller.tenant;
    let mut stored = store::credentials::many(conn, tenant.key, &ids)?;
    // Whoever edited the row could have widened it: see `authenticate`.
    stored.retain(|one| is_intact(service.keyring(), tenant, one));
    let owners: HashSet<Id> = stored.iter().map(|one| one.credential.owner).collect();
    let owners = store::principals::many(conn, tenant.key, &owners.into_iter().collect::<Vec<_>>())?;
    let owners: HashMap<Id, Principal> = owners.into_iter().map(|(owner, _)| (owner.id, owner)).collect();
    let agents: Vec<Id> = owners.values().filter(|owner| owner.needs_sponsor()).map(|owner| owner.id).collect();
    let sponsored = liveness::sponsored(conn, tenant.key, &agents)?;
    let owned = |stored: StoredCredential| {
        let owner = owners.get(&stored.credential.owner)?.clone();
        Some(OwnedKey { sponsored: sponsored.contains(&owner.id), stored, owner })
    };
    Ok(stored.into_iter().filter_map(owned).collect())
}

/// `granted(key) ∩ current(owner)` (promise P2), nothing for a key that does not work.
fn held_by_key(service: &Service, tenant: TenantKey, key: OwnedKey, access: Option<Arc<Permissions>>) -> Held {
    let credential = key.stored.credential;
    let verdict = credential.verdict(&key.owner, key.sponsored, memory::now_in(service, tenant));
    match (verdict, credential.class) {
        (Verdict::Valid, Class::Provisioning) => Held::of(scim_access()),
        (Verdict::Valid, Class::User | Class::Service) => {
            // Nobody tells where a request comes from: what hangs on that does not count.
            let given = Circumstances { at: memory::now_in(service, tenant), ..Circumstances::default() };
            let ceiling = credential.grant.counting(&given);
            Held { access: access.unwrap_or_default(), ceiling: Some(ceiling), dead: None }
        }
        (dead, _) => Held { dead: Some(dead), ..Held::default() },
    }
}

/// What was read about some subjects.
struct ReadStandings {
    policy: Arc<Policy>,
    keys: Vec<OwnedKey>,
    operator: Option<Id>,
    effective: Vec<(Id, Effective)>,
}

/// A key's row, and whose it is.
struct OwnedKey {
    stored: StoredCredential,
    owner: Principal,
    /// Whether a live User answers for it.
    sponsored: bool,
}
