//! `GET /v1/mappings`: every mapping at once, as services keep them and decide by them.
//!
//! A snapshot is a function of its number, [`crate::domain::log::Head::policy_seq`]: whatever it shows is
//! another after a record that moves that number, and only then. So it shows what groups are called, which
//! moves the number for mapped groups, and not who is in them; and a mapping that ends by itself stays in it
//! with its `expires_at`, since no record says that time has passed.

use std::collections::HashMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::facts::GroupFacts;
use crate::domain::mapping::{GroupName, Source};
use crate::domain::{Id, Operation, Policy, TenantKey};
use crate::service::access::policy;
use crate::service::body::{Body, PIECE_BYTES, Rest};
use crate::service::catalogue::mappings::MappingResponse;
use crate::service::conditions::Conditions;
use crate::service::memory::kept::Kept;
use crate::service::{Cached, Context, Error, Service, authorize, memory, signing};
use crate::store::{self, Conn};

/// How long a signed snapshot may be relied on by whoever cannot ask again: as long as a service may go on
/// with mappings that have changed meanwhile.
pub const SIGNED_SECONDS: i64 = 15 * 60;
/// A signed snapshot is dated to the minute that it was made in, so that everybody who asks in it is given
/// the same bytes, and they can have a strong tag.
const SIGNED_STEP_SECONDS: i64 = 60;
/// The type of a signed snapshot (RFC 8725 §3.11).
const SIGNED_TYPE: &str = "keyroll-mappings+jwt";

/// In which form a snapshot is wanted. The bytes differ, so each has tags of its own (RFC 9110 §8.8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON.
    Plain,
    /// The same, to be packed by gzip.
    Gzip,
    /// A compact JWS (RFC 7515) of the same with `iss`, `sub` (the tenant), `iat` and `exp`.
    Signed,
}

/// A snapshot, ready to be sent.
#[derive(Debug)]
pub struct Listed {
    /// The strong tag of these very bytes, in quotes.
    pub etag: String,
    /// The snapshot, not packed; `None` if the client has it.
    pub body: Option<Body>,
}

/// The last snapshot of each tenant.
#[derive(Default)]
pub(in crate::service) struct Snapshots(Kept<Arc<Snapshot>>);

/// The mappings after a record, and the groups that they stand for.
#[derive(Debug)]
struct Snapshot {
    seq: i64,
    policy: Arc<Policy>,
    /// By id.
    groups: Vec<GroupFacts>,
    /// The places in `groups` of those that a mapping means, by the place of the mapping.
    meant: HashMap<usize, Vec<usize>>,
}

/// The mappings of a snapshot that are still to be sent.
#[derive(Debug)]
struct Mappings {
    snapshot: Arc<Snapshot>,
    next: usize,
}

/// A group that a mapping means.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeantGroup<'s> {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub display_name: Option<&'s str>,
    /// What connections call it.
    pub external_ids: &'s [String],
}

/// Every mapping, with the groups that are meant (`GET /v1/mappings`).
#[derive(Debug, Serialize, JsonSchema)]
pub struct MappingList<'s> {
    /// The record of the log up to which this is true.
    pub as_of_seq: i64,
    /// The mappings.
    pub mappings: Vec<MappingResponse<'s>>,
}

#[derive(Serialize)]
struct Claims<'s> {
    iss: &'s str,
    /// One key signs for every tenant: a service must know whose mappings it was given.
    sub: Id,
    iat: i64,
    exp: i64,
    as_of_seq: i64,
    mappings: Vec<MappingResponse<'s>>,
}

impl Service {
    /// Every mapping, unless the client has them.
    ///
    /// # Errors
    /// 403 without the permission, 412 for another tag than `If-Match` names.
    pub fn list_mappings(&self, context: &Context, form: Form, conditions: &Conditions) -> Result<Listed, Error> {
        authorize(&context.caller, Operation::MappingList, None)?;
        let (tenant, iat) = (context.caller.tenant.key, signed_at(self));
        let snapshot = self.read(|conn| snapshot(self, conn, tenant))?;
        let opaque = tag(form, snapshot.seq, iat);
        if let Some(known) = unmodified(&opaque, conditions)? {
            return Ok(known);
        }
        let body = match form {
            Form::Plain | Form::Gzip => body(self, snapshot)?,
            Form::Signed => Body::text(signed(self, context, &snapshot, iat)?),
        };
        Ok(Listed { etag: format!("\"{opaque}\""), body: Some(body) })
    }
}

impl Service {
    /// Every mapping at once, for the command line.
    ///
    /// # Errors
    /// If the store or `show` fails.
    pub fn show_mappings<T>(
        &self,
        context: &Context,
        show: impl FnOnce(&MappingList<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        authorize(&context.caller, Operation::MappingList, None)?;
        let snapshot = self.read(|conn| snapshot(self, conn, context.caller.tenant.key))?;
        show(&MappingList { as_of_seq: snapshot.seq, mappings: snapshot.rows() })
    }
}

impl Cached<'_> {
    /// Tells whoever has the mappings so, without a look at them.
    pub fn list_mappings(&self, context: &Context, form: Form, conditions: &Conditions) -> Option<Listed> {
        authorize(&context.caller, Operation::MappingList, None).ok()?;
        let tenant = context.caller.tenant.key;
        let seq = if self.follows(tenant) { memory::seen_policy_seq(self.service, tenant)? } else { return None };
        unmodified(&tag(form, seq, signed_at(self.service)), conditions).ok()?
    }
}

/// The answer to who has what this tag stands for.
fn unmodified(opaque: &str, conditions: &Conditions) -> Result<Option<Listed>, Error> {
    let is_known = conditions.is_unmodified_as(opaque)?;
    Ok(is_known.then(|| Listed { etag: format!("\"{opaque}\""), body: None }))
}

fn signed_at(service: &Service) -> i64 {
    let now = service.now().timestamp();
    now - now.rem_euclid(SIGNED_STEP_SECONDS)
}

fn signed(service: &Service, context: &Context, snapshot: &Snapshot, iat: i64) -> Result<String, Error> {
    let claims = Claims {
        iss: &service.settings().public_url,
        sub: context.caller.tenant.id,
        iat,
        exp: iat + SIGNED_SECONDS,
        as_of_seq: snapshot.seq,
        mappings: snapshot.rows(),
    };
    signing::sign(service, SIGNED_TYPE, &claims)
}

/// The snapshot as it is now: made again only if its number has moved.
fn snapshot(service: &Service, conn: &mut Conn, tenant: TenantKey) -> Result<Arc<Snapshot>, Error> {
    let snapshots = &service.inner.snapshots.0;
    store::snapshot(conn, |conn| {
        let head = store::log::head(conn, tenant)?;
        if let Some(known) = snapshots.get(service, tenant).filter(|known| known.seq == head.policy_seq) {
            return Ok(known);
        }
        let policy = policy::of(service, conn, tenant, &head)?;
        let (groups, meant) = resolve(conn, tenant, &policy)?;
        let made = Arc::new(Snapshot { seq: head.policy_seq, policy, groups, meant });
        // Another request may have read later and been here earlier.
        if snapshots.get(service, tenant).is_none_or(|known| known.seq < made.seq) {
            snapshots.put(service, tenant, Arc::clone(&made));
        }
        Ok(made)
    })
}

/// What stands between the quotes of a tag.
fn tag(form: Form, seq: i64, iat: i64) -> String {
    match form {
        Form::Plain => seq.to_string(),
        Form::Gzip => format!("{seq}-gzip"),
        Form::Signed => format!("{seq}-{iat}"),
    }
}

/// The groups that mappings mean: found by their names, and then asked as every access is.
type Resolved = (Vec<GroupFacts>, HashMap<usize, Vec<usize>>);

fn resolve(conn: &mut Conn, tenant: TenantKey, policy: &Policy) -> Result<Resolved, Error> {
    let names: Vec<&GroupName> = policy.mappings().filter_map(|one| group_of(&one.mapping.source)).collect();
    // Of more names than groups, most mean none: it is cheaper to look at the groups.
    let found = match store::facts::all_groups(conn, tenant, names.len(), true)? {
        Some(all) => all,
        None => {
            let keys = store::candidates::named(conn, tenant, &names)?;
            store::facts::groups(conn, tenant, &keys, true)?
        }
    };
    let mut groups: Vec<(Vec<usize>, GroupFacts)> = found
        .into_values()
        .map(|group| (policy.of_group(&group), group))
        .filter(|(mappings, _)| !mappings.is_empty())
        .collect();
    groups.sort_unstable_by_key(|(_, group)| group.id);
    let mut meant: HashMap<usize, Vec<usize>> = HashMap::new();
    for (at, (mappings, group)) in groups.iter_mut().enumerate() {
        group.external_ids.sort_unstable();
        for mapping in mappings {
            meant.entry(*mapping).or_default().push(at);
        }
    }
    Ok((groups.into_iter().map(|(_, group)| group).collect(), meant))
}

fn group_of(source: &Source) -> Option<&GroupName> {
    match source {
        Source::Group { group } => Some(group),
        _ => None,
    }
}

impl Snapshot {
    /// The mapping at a place.
    fn row(&self, at: usize) -> Option<MappingResponse<'_>> {
        let mapping = &self.policy.mapped(at)?.mapping;
        let shown = |at: &usize| {
            let group = self.groups.get(*at)?;
            let display_name = group.display.as_deref();
            Some(MeantGroup { id: group.id, display_name, external_ids: &group.external_ids })
        };
        let meant = || self.meant.get(&at).into_iter().flatten().filter_map(shown).collect();
        let mut row = MappingResponse::of(mapping, &self.policy);
        row.groups = group_of(&mapping.source).map(|_| meant());
        Some(row)
    }

    fn rows(&self) -> Vec<MappingResponse<'_>> {
        (0..self.policy.mappings().len()).filter_map(|at| self.row(at)).collect()
    }
}

/// The whole as JSON.
fn body(service: &Service, snapshot: Arc<Snapshot>) -> Result<Body, Error> {
    let head = format!("{{\"as_of_seq\":{},\"mappings\":[", snapshot.seq);
    Body::framed(service, head, Mappings { snapshot, next: 0 }, "]}")
}

impl Rest for Mappings {
    fn next(&mut self, _: &Service) -> Result<Option<Body>, Error> {
        let mut text = Vec::with_capacity(PIECE_BYTES + 4_096);
        while text.len() < PIECE_BYTES
            && let Some(row) = self.snapshot.row(self.next)
        {
            if self.next > 0 {
                text.push(b',');
            }
            serde_json::to_writer(&mut text, &row)?;
            self.next += 1;
        }
        if text.is_empty() {
            return Ok(None);
        }
        Ok(Some(Body::text(String::from_utf8(text).map_err(Error::internal)?)))
    }
}
