//! Connections as a tenant's writer knows them: looked up again before each write, unless
//! nothing that was written since can have changed what they may.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::caller::KeyHolder;
use crate::domain::class::Class;
use crate::domain::credential::Verdict;
use crate::domain::log::{Head, Record};
use crate::domain::{Caller, Credential, TenantKey};
use crate::service::caller::authenticate;
use crate::service::caller::authenticate::REFUSED;
use crate::service::memory::kept::Kept;
use crate::service::{Error, Service, memory};
use crate::store::{self, Conn};

/// Callers of one tenant that are kept.
const CALLERS_MAX: usize = 64;

/// The last state of each tenant that callers were looked up in. The one writer changes it, and nobody else.
#[derive(Default)]
pub(in crate::service) struct Standing(Kept<Arc<Mutex<KnownCallers>>>);

/// Who stood how in one state.
struct KnownCallers {
    /// Counts the commits of others: one that left no record could have changed anything.
    version: i64,
    /// The last record. No other log ends with it, not even one that was rolled back.
    hash: [u8; 32],
    callers: HashMap<String, (Credential, Caller)>,
}

impl KnownCallers {
    /// Whether everybody in here stands as before after this record, apart from whom it names.
    fn outlives(&mut self, record: &Record) -> bool {
        self.callers.retain(|_, (credential, _)| credential.owner.to_string() != record.subject_id);
        matches!(record.subject_kind.as_str(), "user" | "agent" | "group")
    }
}

fn is_kept(key: &KeyHolder) -> bool {
    key.class == Class::Provisioning && !key.owner.needs_sponsor()
}

/// The same as [`authenticate::refresh`] at the end of a log that is locked. Only a connection's key is
/// kept: what others may hangs on groups, roles and sponsors too.
pub(in crate::service) fn refresh_at(
    service: &Service,
    conn: &mut Conn,
    known: &Caller,
    head: &Head,
) -> Result<Caller, Error> {
    let Some(key) = known.key().filter(|key| is_kept(key)) else {
        return authenticate::refresh(service, conn, known);
    };
    let (tenant, version) = (known.tenant.key, store::data_version(conn)?);
    let kept = service.inner.standing.0.get(service, tenant);
    let mut state = kept.as_deref().map(lock);
    if let Some(state) = &state
        && (state.version, state.hash) == (version, head.hash)
        && let Some((credential, caller)) = state.callers.get(&key.selector)
        && let Some(holder) = caller.key()
    {
        let stands = credential.id == key.credential
            && credential.verdict(&holder.owner, true, memory::now_in(service, tenant)) == Verdict::Valid;
        return if stands { Ok(authenticate::as_given(service, caller.clone(), known)) } else { Err(REFUSED) };
    }
    let (credential, caller) = authenticate::look_up(service, conn, key)?;
    let found = (key.selector.clone(), (credential, caller.clone()));
    match &mut state {
        Some(state) if (state.version, state.hash) == (version, head.hash) && state.callers.len() < CALLERS_MAX => {
            state.callers.extend([found]);
        }
        _ => {
            let new = KnownCallers { version, hash: head.hash, callers: HashMap::from([found]) };
            service.inner.standing.0.put(service, tenant, Arc::new(Mutex::new(new)));
        }
    }
    Ok(authenticate::as_given(service, caller, known))
}

fn lock(known: &Mutex<KnownCallers>) -> MutexGuard<'_, KnownCallers> {
    // What a panic left behind is compared with the log like everything else.
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Carries over, to the end of a log that grew by these records, who stands there as before.
pub(in crate::service) fn carry_over(
    service: &Service,
    tenant: TenantKey,
    before: &Head,
    records: &[Record],
    after: &Head,
) {
    let Some(kept) = service.inner.standing.0.get(service, tenant) else { return };
    let mut state = lock(&kept);
    if state.hash == before.hash && records.iter().all(|record| state.outlives(record)) {
        state.hash = after.hash;
    } else {
        service.inner.standing.0.remove(tenant);
    }
}
