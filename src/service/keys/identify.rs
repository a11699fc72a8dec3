//! Whose a key is that somebody found (`POST /v1/keys:identify`), and what a key may do at this moment.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::credential::{Credential, Status};
use crate::domain::log::Entry;
use crate::domain::secret::{PlainKey, is_selector};
use crate::domain::{Class, Id, Operation, Permission, Permissions, Policy};
use crate::service::access::provisioning::scim_access;
use crate::service::keys::list;
use crate::service::keys::response::KeyResponse;
use crate::service::request::{Text, present};
use crate::service::{Change, Context, Error, Service, access, caller, change};
use crate::store;
use crate::store::credentials::StoredCredential;

/// What is known of a key that was found: one of the three.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KeyClue")]
pub struct IdentifyRequest {
    /// Its whole text.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    pub key: Option<Text>,
    /// Its public part: the twelve letters behind `kru_`, or these with it.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    pub selector: Option<Text>,
    /// The SHA-256 of its text, in hexadecimal; keys issued before Keyroll kept it are found by the others alone.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    pub sha256: Option<Text>,
}

/// What a key is found by.
enum Clue {
    Key(PlainKey),
    Selector(String),
    Hash([u8; 32]),
}

/// What a key may do at this moment.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EffectiveGrant")]
pub struct EffectiveResponse {
    /// Each permission of its grant; none if it does not work, or only tells whose it is.
    pub permissions: Vec<EffectivePermission>,
}

/// One permission of a grant.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EffectivePermission {
    /// A permission, or a pattern where an api does not list what it covers.
    pub permission: String,
    /// Whether the key has it, or why not.
    pub state: EffectiveState,
}

/// Whether a key has a permission of its grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EffectiveState {
    /// It has.
    Granted,
    /// Its owner does not have it.
    OwnerLacks,
    /// It has it where its conditions hold.
    Condition,
}

impl Service {
    /// The record of the key that somebody found, whatever its state. That somebody asked is recorded.
    ///
    /// # Errors
    /// 404 if this tenant has none, 422 for a clue that is none.
    pub fn identify_key(&self, context: &Context, request: &IdentifyRequest) -> Result<KeyResponse, Error> {
        let clue = request.clue()?;
        change::perform(self, context, Operation::KeyIdentify, None, move |change| {
            let stored = found(change, &clue)?.ok_or(Error::NotFound)?;
            let entry = Entry::new(Operation::KeyIdentify.action(), "credential", stored.credential.id);
            change.record(entry.with("by", clue.name()));
            list::shown(change.service, change.conn, change.context, stored)
        })
    }

    /// What a key may do at this moment: each permission of its grant, and whether its owner has it.
    ///
    /// # Errors
    /// 404 if there is none in this tenant.
    pub fn effective_key(&self, context: &Context, id: &str) -> Result<EffectiveResponse, Error> {
        caller::ask(self, context, Operation::KeyEffective, None, |conn| {
            let (id, tenant) = (Id::parse(id).ok_or(Error::NotFound)?, context.caller.tenant.key);
            let stored = store::credentials::find(conn, tenant, &id)?.ok_or(Error::NotFound)?;
            let credential = stored.credential.clone();
            let status = Status::parse(list::shown(self, conn, context, stored)?.status);
            if !status.is_some_and(Status::is_working) {
                return Ok(EffectiveResponse { permissions: vec![] });
            }
            let access = access::effective_in(self, conn, tenant, credential.owner)?.permissions;
            let access = if credential.class == Class::Provisioning { scim_access() } else { access };
            let policy = access::policy::now(self, conn, tenant)?;
            Ok(EffectiveResponse { permissions: labelled(&policy, &credential, &access) })
        })
    }
}

/// Each permission of a key's grant with its state, in order.
fn labelled(policy: &Policy, credential: &Credential, access: &Permissions) -> Vec<EffectivePermission> {
    let Some(grant) = credential.grant.permissions() else { return vec![] };
    let (grant, always) = (&grant, credential.grant.always());
    let of_api = |name: &str| policy.apis().get(name).into_iter().flat_map(|api| &api.permissions);
    let listed = policy
        .apis()
        .keys()
        .flat_map(|name| of_api(name).filter_map(move |one| Permission::parse(&format!("{name}:{}", one.name))));
    let listed: Permissions = listed.filter(|one| grant.cover(one)).collect();
    // What an api offers beside its list, or an api that has gone.
    let others = grant.iter().filter(|own| !listed.iter().any(|one| own.covers(one)));
    let all: Permissions = listed.iter().chain(others).cloned().collect();
    let state = |one: &Permission| match access.cover(one) {
        false => EffectiveState::OwnerLacks,
        true if always.cover(one) => EffectiveState::Granted,
        true => EffectiveState::Condition,
    };
    all.iter().map(|one| EffectivePermission { permission: one.to_string(), state: state(one) }).collect()
}

fn found(change: &mut Change<'_>, clue: &Clue) -> Result<Option<StoredCredential>, Error> {
    let (tenant, keyring) = (change.tenant(), change.service.keyring());
    let selector = match clue {
        Clue::Key(key) => key.selector(),
        Clue::Selector(selector) => selector,
        Clue::Hash(hash) => return Ok(store::credentials::with_text_hash(change.conn, tenant.key, hash)?),
    };
    let holder = store::credentials::holder(change.conn, selector)?;
    let own = holder.filter(|holder| holder.tenant.key == tenant.key).map(|holder| holder.stored);
    Ok(own.filter(|stored| match clue {
        Clue::Key(key) => keyring.digest(&tenant.id, key).matches(&stored.credential.digest),
        _ => true,
    }))
}

impl IdentifyRequest {
    fn clue(&self) -> Result<Clue, Error> {
        let none = |name: &str, what: &str| Error::invalid(format!("/{name}"), format!("{name}: {what}"));
        match (&self.key, &self.selector, &self.sha256) {
            (Some(text), None, None) => {
                let key = PlainKey::parse(text.trim());
                key.map(Clue::Key).ok_or_else(|| none("key", "its form or its checksum is wrong"))
            }
            (None, Some(text), None) => {
                let text = text.trim().trim_end_matches('…');
                let rest = text.strip_prefix("kr").and_then(|rest| rest.split_once('_')).map_or(text, |(_, rest)| rest);
                let selector = is_selector(rest).then(|| Clue::Selector(rest.to_owned()));
                selector.ok_or_else(|| none("selector", "twelve letters and digits"))
            }
            (None, None, Some(text)) => {
                let hash = hash(text.trim());
                hash.map(Clue::Hash).ok_or_else(|| none("sha256", "64 hexadecimal digits"))
            }
            _ => Err(Error::invalid("", "one of key, selector and sha256")),
        }
    }
}

impl Clue {
    fn name(&self) -> &'static str {
        match self {
            Clue::Key(_) => "key",
            Clue::Selector(_) => "selector",
            Clue::Hash(_) => "sha256",
        }
    }
}

/// Reads 64 hexadecimal digits.
fn hash(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(bytes)
}
