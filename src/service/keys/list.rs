//! Which keys there are, each with its owner and the status that verification would tell (`GET /v1/keys`); and whose
//! a key's text is.
//!
//! What an index finds is read in pages: an owner's keys, those of a class, those that end soon. The rest is decided
//! row by row, a bounded number of them for each answer; the next one goes on from there.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use crate::domain::class::Class;
use crate::domain::credential::Status;
use crate::domain::secret::PlainKey;
use crate::domain::{Credential, Id, Operation, Principal, TenantKey, duration};
use crate::scim::cursor::SortValue;
use crate::service::access::{liveness, people};
use crate::service::cursor::{Behind, question_hash};
use crate::service::intact::is_intact;
use crate::service::keys::response::{KeyList, KeyResponse};
use crate::service::{Context, Error, Service, caller, cursor, memory};
use crate::store::credentials::{Part, StoredCredential};
use crate::store::{self, Conn};

/// Rows that are read at once where not every one is shown, and the most that are read for one answer.
const CHUNK: usize = 1_000;
const READ_MAX: usize = 10_000;

/// Which keys are asked for; each part narrows the list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter<'q> {
    /// Of this owner: an id, a userName, the name of an agent or of a connection, or `operator`.
    pub owner: Option<&'q str>,
    /// Of this class: `u`, `s` or `p`.
    pub class: Option<&'q str>,
    /// Whose status this is.
    pub status: Option<&'q str>,
    /// That end before this: a date, a time, or a duration from now.
    pub expires_before: Option<&'q str>,
}

/// The same, understood.
struct Wanted {
    owner: Option<Id>,
    class: Option<Class>,
    status: Option<Status>,
    /// In milliseconds since 1970.
    before: Option<i64>,
}

/// Where a list goes on: behind an end, if it goes by ends, and a surrogate key.
#[derive(Clone, Copy)]
struct ListPosition {
    end: i64,
    key: i64,
}

/// A key with its owner, and whether a live User answers for that one. Without an owner it is one that was changed
/// from outside: what somebody wrote into a row says nothing about who owns it.
struct Judged {
    credential: Credential,
    owner: Option<(Principal, bool)>,
    status: Status,
}

impl Service {
    /// Lists keys, oldest first; where `expires_before` is asked for and no owner, those that end first.
    ///
    /// # Errors
    /// 400 for a filter, a cursor or a count that is none.
    pub fn list_keys(
        &self,
        context: &Context,
        filter: &Filter<'_>,
        count: Option<usize>,
        cursor: Option<&str>,
    ) -> Result<KeyList, Error> {
        let count = cursor::page_size(self, count);
        caller::ask(self, context, Operation::KeyList, None, |conn| {
            let tenant = context.caller.tenant.key;
            let mut wanted = Wanted::of(conn, tenant, filter, memory::now_in(self, tenant))?;
            let question = question(context, filter);
            let mut place = match cursor {
                Some(cursor) => open_list(self, question, cursor, &mut wanted)?,
                None => wanted.begin(memory::now_in(self, tenant)),
            };
            let limit = if wanted.is_read_whole() { count + 1 } else { CHUNK.max(count + 1) };
            let (mut keys, mut read) = (vec![], 0);
            let next = 'pages: loop {
                let rows = wanted.read(conn, tenant, place, limit)?;
                let is_last = rows.len() < limit;
                read += rows.len();
                let places: Vec<ListPosition> =
                    rows.iter().map(|(key, stored)| ListPosition::of(*key, stored)).collect();
                let rows = rows.into_iter().map(|(_, stored)| stored).collect();
                for (judged, at) in judge_keys(self, conn, context, rows)?.into_iter().zip(places) {
                    if wanted.takes(&judged) {
                        if keys.len() == count {
                            break 'pages Some(place);
                        }
                        keys.push(judged);
                    }
                    place = at;
                }
                if is_last {
                    break None;
                }
                if read >= READ_MAX {
                    break Some(place);
                }
            };
            let next = next.map(|place| seal_list(self, question, place, &wanted)).transpose()?;
            Ok(KeyList { keys: render_keys(conn, tenant, &keys)?, next })
        })
    }

    /// Reads the record of a key.
    ///
    /// # Errors
    /// 404 if there is none in this tenant.
    pub fn read_key(&self, context: &Context, id: &str) -> Result<KeyResponse, Error> {
        caller::ask(self, context, Operation::KeyRead, None, |conn| {
            let id = Id::parse(id).ok_or(Error::NotFound)?;
            let stored = store::credentials::find(conn, context.caller.tenant.key, &id)?.ok_or(Error::NotFound)?;
            shown(self, conn, context, stored)
        })
    }

    /// The id of the key with this text. Whoever asks has the whole of it, not its beginning alone.
    ///
    /// # Errors
    /// 400 for what is no key, 404 if this tenant has none with this text.
    pub fn key_with_text(&self, context: &Context, text: &str) -> Result<Id, Error> {
        caller::ask(self, context, Operation::KeyRead, None, |conn| {
            let no_key = || Error::Malformed("that is no key: its form or its checksum is wrong".to_owned());
            let key = PlainKey::parse(text).ok_or_else(no_key)?;
            let tenant = &context.caller.tenant;
            let holder = store::credentials::holder(conn, key.selector())?;
            let own = holder.filter(|holder| {
                let digest = self.keyring().digest(&tenant.id, &key);
                holder.tenant.key == tenant.key && digest.matches(&holder.stored.credential.digest)
            });
            own.map(|holder| holder.stored.credential.id).ok_or(Error::NotFound)
        })
    }
}

/// The record of one key.
pub(in crate::service::keys) fn shown(
    service: &Service,
    conn: &mut Conn,
    context: &Context,
    stored: StoredCredential,
) -> Result<KeyResponse, Error> {
    let judged = judge_keys(service, conn, context, vec![stored])?;
    render_keys(conn, context.caller.tenant.key, &judged)?.pop().ok_or(Error::NotFound)
}

/// How keys stand; their owners are read together.
fn judge_keys(
    service: &Service,
    conn: &mut Conn,
    context: &Context,
    rows: Vec<StoredCredential>,
) -> Result<Vec<Judged>, Error> {
    let tenant = &context.caller.tenant;
    let ids: HashSet<Id> = rows.iter().map(|stored| stored.credential.owner).collect();
    let owners = store::principals::many(conn, tenant.key, &ids.into_iter().collect::<Vec<_>>())?;
    let owners: HashMap<Id, Principal> = owners.into_iter().map(|(owner, _)| (owner.id, owner)).collect();
    let agents: Vec<Id> = owners.values().filter(|owner| owner.needs_sponsor()).map(|owner| owner.id).collect();
    let sponsored = liveness::sponsored(conn, tenant.key, &agents)?;
    let judge = |stored: StoredCredential| {
        let owner = owners.get(&stored.credential.owner).filter(|_| is_intact(service.keyring(), tenant, &stored));
        let owner = owner.map(|owner| (owner.clone(), sponsored.contains(&owner.id)));
        let credential = stored.credential;
        let status = owner
            .as_ref()
            .map(|(owner, sponsored)| credential.status(owner, *sponsored, memory::now_in(service, tenant.key)));
        Judged { credential, owner, status: status.unwrap_or(Status::Tampered) }
    };
    Ok(rows.into_iter().map(judge).collect())
}

/// Records of keys, with the notes about those that are revoked.
fn render_keys(conn: &mut Conn, tenant: TenantKey, keys: &[Judged]) -> Result<Vec<KeyResponse>, Error> {
    let revoked = keys.iter().filter(|key| key.credential.revoked.is_some());
    let ids: Vec<Id> = revoked.map(|key| key.credential.id).collect();
    let notes = store::credentials::notes(conn, tenant, &ids)?;
    let one = |key: &Judged| {
        let owner = key.owner.as_ref().map(|(owner, sponsored)| (owner, *sponsored));
        let note = notes.get(&key.credential.id).map(String::as_str);
        KeyResponse::of(&key.credential, owner, key.status, note)
    };
    Ok(keys.iter().map(one).collect())
}

fn seal_list(service: &Service, question: [u8; 16], place: ListPosition, wanted: &Wanted) -> Result<String, Error> {
    // What ends in two weeks is asked for once: each page goes on with the same end.
    let sort = format!("{} {}", place.end, wanted.before.unwrap_or_default());
    let sort = Some(SortValue::Text(sort));
    cursor::seal(service, question, Behind { sort, last: place.key, count: 0 })
}

fn open_list(service: &Service, question: [u8; 16], cursor: &str, wanted: &mut Wanted) -> Result<ListPosition, Error> {
    let opened = cursor::open(service, question, cursor)?;
    let numbers = match &opened.sort {
        Some(SortValue::Text(text)) => text.split_once(' '),
        _ => None,
    };
    let numbers = numbers.and_then(|(end, before)| Some((end.parse().ok()?, before.parse().ok()?)));
    let (end, before) = numbers.ok_or_else(|| Error::internal("a sealed cursor without its ends"))?;
    wanted.before = wanted.before.map(|_| before);
    Ok(ListPosition { end, key: opened.last })
}

/// Binds a cursor to what is asked for.
fn question(context: &Context, filter: &Filter<'_>) -> [u8; 16] {
    let Filter { owner, class, status, expires_before } = *filter;
    let texts = [Some("keys"), owner, class, status, expires_before];
    question_hash(context, &texts.map(Option::unwrap_or_default))
}

impl ListPosition {
    fn of(key: i64, stored: &StoredCredential) -> ListPosition {
        ListPosition { end: stored.credential.expires_at.timestamp_millis(), key }
    }
}

impl Wanted {
    fn of(conn: &mut Conn, tenant: TenantKey, filter: &Filter<'_>, now: DateTime<Utc>) -> Result<Wanted, Error> {
        let refused = |name: &str, detail: &str| Error::Malformed(format!("{name}: {detail}"));
        let class = filter.class.map(|text| {
            let class = text.parse().ok().and_then(Class::from_letter);
            class.ok_or_else(|| refused("class", "u, s or p"))
        });
        let status = filter.status.map(|text| {
            let names = Status::ALL.map(Status::name).join(", ");
            Status::parse(text).ok_or_else(|| refused("status", &format!("one of {names}")))
        });
        let before = filter.expires_before.map(|text| instant(text, now).ok_or_else(|| refused("expires_before", END)));
        let (class, status, before) = (class.transpose()?, status.transpose()?, before.transpose()?);
        let owner = filter.owner.map(|name| match people::find(conn, tenant, name) {
            Err(Error::NotFound) => {
                // A provisioning key is shown with the name of its connection, whose agent owns it.
                let connection = store::connections::by_name(conn, tenant, name)?;
                let agent = connection.map(|connection| connection.agent);
                agent.ok_or_else(|| refused("owner", "nobody has this id or name"))
            }
            found => found,
        });
        Ok(Wanted { owner: owner.transpose()?, class, status, before: before.map(|time| time.timestamp_millis()) })
    }

    /// Whether the list goes by ends: nothing else that an index knows narrows it more.
    fn is_by_end(&self) -> bool {
        self.owner.is_none() && self.before.is_some()
    }

    /// Whether every row that is read is one that is asked for.
    fn is_read_whole(&self) -> bool {
        let decided_by_index = match (self.owner.is_some(), self.before.is_some()) {
            (true, _) => self.before.is_none() && self.class.is_none(),
            (false, true) => self.class.is_none(),
            (false, false) => true,
        };
        self.status.is_none() && decided_by_index
    }

    /// What works has not ended: no need to read what has.
    fn begin(&self, now: DateTime<Utc>) -> ListPosition {
        match self.status.is_some_and(Status::is_unexpired) {
            true if self.is_by_end() => ListPosition { end: now.timestamp_millis(), key: i64::MAX },
            _ => ListPosition { end: i64::MIN, key: 0 },
        }
    }

    fn read(
        &self,
        conn: &mut Conn,
        tenant: TenantKey,
        after: ListPosition,
        limit: usize,
    ) -> Result<Vec<(i64, StoredCredential)>, Error> {
        let limit = limit as i64;
        let part = match (&self.owner, self.before, self.class) {
            (Some(owner), _, _) => Part::Owner(owner),
            (None, Some(before), _) => {
                let after = (after.end, after.key);
                return Ok(store::credentials::ending(conn, tenant, after, before, limit)?);
            }
            (None, None, Some(class)) => Part::Class(class),
            (None, None, None) => Part::All,
        };
        Ok(store::credentials::list(conn, tenant, part, Some(after.key), limit)?)
    }

    fn takes(&self, key: &Judged) -> bool {
        let credential = &key.credential;
        self.class.is_none_or(|class| credential.class == class)
            && self.before.is_none_or(|before| credential.expires_at.timestamp_millis() < before)
            && self.status.is_none_or(|status| key.status == status)
    }
}

/// What a refusal says that it expects of an end.
pub const END: &str = "a date, a time, or a duration from now, such as 2027-01-31 or P14D";

/// Whether keys can be asked for by this end.
pub fn is_end(text: &str) -> bool {
    instant(text, DateTime::UNIX_EPOCH).is_some()
}

/// A duration from now, a date (its beginning in UTC), or a time.
fn instant(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if let Some(length) = duration::parse(text) {
        return now.checked_add_signed(TimeDelta::max(length, TimeDelta::zero()));
    }
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Some(date.and_time(NaiveTime::MIN).and_utc());
    }
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc))
}
