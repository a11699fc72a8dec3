//! What is forgotten, and when.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use crate::domain::log::Record;
use crate::domain::{Id, TenantKey};
use crate::service::{Error, Service, clocks};
use crate::store::log::End;
use crate::store::{self, credentials::Holder};

use crate::service::memory::{RECORDS_MAX, Stamp, State};

/// How often the end of the logs is read again if more is committed meanwhile.
const LOOKS_MAX: usize = 4;

/// Whether a number that the database was asked for is of another state than what is remembered. Another
/// request may have asked later and been here earlier; but a number that is smaller than what was known before
/// the question is not of this world: the database was put back.
fn is_news(before: Option<i64>, version: i64, known: Option<i64>) -> bool {
    known.is_none_or(|known| version > known) || before.is_some_and(|before| version < before)
}

/// What the database told about itself when it was asked.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// The commit that was known before it was asked.
    before: Option<i64>,
    version: i64,
}

impl Service {
    /// Asks the database what has been committed, for who must not wait: `then` is given what it told, perhaps
    /// on another thread, where it hands it on and does nothing else.
    pub fn inquire(&self, then: impl FnOnce(Result<Told, Error>) + Send + 'static) {
        let before = known_version(self);
        let service = self.clone();
        let told = move |version: store::Result<i64>| {
            clocks::compare(&service);
            then(version.map(|version| Told { before, version }).map_err(Error::from));
        };
        self.inner.store.tell_data_version(told);
    }

    /// This service for one request, which has asked the database already: it is not asked again.
    pub fn informed(&self, told: Told) -> Service {
        Service { told: Some(told), ..self.clone() }
    }

    /// The same, answering from memory alone: whatever memory does not hold, or no longer, is
    /// [`Error::NotRemembered`].
    pub fn recalling(&self, told: Told) -> Service {
        Service { from_memory: true, ..self.informed(told) }
    }
}

fn known_version(service: &Service) -> Option<i64> {
    service.inner.cache.state().version
}

/// Forgets what has changed since the last request.
///
/// Nothing may wait for this that has a connection: one at a time reads what has changed.
pub(in crate::service) fn stamp(service: &Service) -> Result<Stamp, Error> {
    let Told { before, version } = match service.told {
        Some(told) => told,
        None => {
            let told = Told { before: known_version(service), version: service.inner.store.data_version()? };
            clocks::compare(service);
            told
        }
    };
    let known = || {
        let known = known_version(service);
        (!is_news(before, version, known)).then(|| Stamp { version: known.unwrap_or(version) })
    };
    if let Some(stamp) = known() {
        return Ok(stamp);
    }
    if service.from_memory {
        return Err(Error::NotRemembered);
    }
    // Not under the lock of the memory: who answers from it on a thread that serves others waits for no read.
    let _turn = service.inner.cache.turn.lock().unwrap_or_else(PoisonError::into_inner);
    match known() {
        Some(stamp) => Ok(stamp),
        None => catch_up(service, version),
    }
}

/// Reads every log from where it was last read, and then drops what it names.
fn catch_up(service: &Service, version: i64) -> Result<Stamp, Error> {
    let known = service.inner.cache.state().ends.clone();
    let (version, ends) = ends(service, version)?;
    let mut news = Vec::with_capacity(ends.len());
    for end in &ends {
        news.push(known.get(&end.tenant).map(|known| grown(service, known, end)).transpose()?);
    }
    let mut state = service.inner.cache.state();
    // Keyroll commits nothing without a record: whoever did was not Keyroll, and could have changed
    // anything. A key's row that was edited is found out when it is read again (attack case A24). On
    // PostgreSQL it was most likely another database of the same server.
    if ends.iter().all(|end| known.get(&end.tenant) == Some(end)) {
        state.callers.clear();
        if service.is_embedded() {
            forget_everything(service, &mut state);
        }
    }
    for (end, news) in ends.iter().zip(news) {
        match news {
            None => {}
            Some(Some(records)) => records.iter().for_each(|record| forget(service, &mut state, end.tenant, record)),
            Some(None) => forget_everything(service, &mut state),
        }
    }
    state.policy_epochs = ends.iter().map(|end| (end.tenant, end.policy_epoch)).collect();
    state.policy_seqs = ends.iter().map(|end| (end.tenant, end.policy_seq)).collect();
    state.ends.extend(ends.into_iter().map(|end| (end.tenant, end)));
    state.version = Some(version);
    Ok(Stamp { version })
}

/// Where every log ends, and the last commit that it holds. If more is committed meanwhile, that commit would
/// look as if it had no record.
fn ends(service: &Service, mut version: i64) -> Result<(i64, Vec<End>), Error> {
    let mut ends = service.read(|conn| Ok(store::log::heads(conn)?))?;
    for _ in 0..LOOKS_MAX {
        let now = if service.is_embedded() { service.inner.store.data_version()? } else { version };
        if now == version {
            break;
        }
        (version, ends) = (now, service.read(|conn| Ok(store::log::heads(conn)?))?);
    }
    Ok((version, ends))
}

/// What a log has grown by since its end was another. `None` if that is more than is worth reading, or if it
/// is not the log that it was, whatever its numbers: the database was put back.
fn grown(service: &Service, known: &End, end: &End) -> Result<Option<Vec<Record>>, Error> {
    if known == end {
        return Ok(Some(vec![]));
    }
    if !(0..=RECORDS_MAX).contains(&(end.next_seq - known.next_seq)) {
        return Ok(None);
    }
    // The last record that was known is read once more: all that went before hangs on its hash.
    let from = (known.next_seq - 1).max(0);
    let mut records =
        service.read(|conn| Ok(store::log::records(conn, end.tenant, from, end.next_seq - from)?))?.into_iter();
    if known.next_seq > 0 && records.next().is_none_or(|last| last.hash != known.hash) {
        return Ok(None);
    }
    Ok(Some(records.collect()))
}

fn forget_everything(service: &Service, state: &mut State) {
    state.callers.clear();
    state.group_changes.values_mut().for_each(|changes| *changes += 1);
    service.inner.cache.documents.clear();
    service.inner.cache.names.clear();
    service.inner.cache.accesses.clear();
    service.inner.cache.forgotten.fetch_add(1, Ordering::Release);
}

fn forget(service: &Service, state: &mut State, tenant: TenantKey, record: &Record) {
    let id = Id::parse(&record.subject_id);
    if record.action.starts_with("principal.") || record.action.ends_with(".deleted") {
        *state.life_changes.entry(tenant).or_default() += 1;
    }
    match (record.subject_kind.as_str(), id) {
        // The state of roles and mappings has a number of its own.
        ("api" | "role" | "mapping", _) => {}
        ("credential", Some(id)) => state.callers.retain(|_, one| one.known.holder.stored.credential.id != id),
        ("group", _) => *state.group_changes.entry(tenant).or_default() += 1,
        (_, Some(id)) => {
            service.inner.cache.documents.remove(&(tenant, id));
            service.inner.cache.accesses.remove(&(tenant, id));
            let concerns = |holder: &Holder| {
                holder.owner.id == id || holder.connection.as_ref().is_some_and(|connection| connection.id == id)
            };
            state.callers.retain(|_, one| !concerns(&one.known.holder));
        }
        (_, None) => state.callers.clear(),
    }
}

#[cfg(test)]
mod tests {
    use super::is_news;

    #[test]
    fn a_number_is_news_if_it_is_later_or_of_another_world() {
        assert!(is_news(None, 7, None) && is_news(Some(6), 7, Some(6)));
        assert!(!is_news(Some(7), 7, Some(7)));
        // Asked at 6, overtaken by one who was told 8.
        assert!(!is_news(Some(6), 7, Some(8)) && !is_news(None, 7, Some(8)));
        assert!(is_news(Some(8), 7, Some(8)) && is_news(Some(8), 7, Some(9)));
    }
}
