//! Keys: issue, list, read, revoke, verify.

use chrono::TimeDelta;
use serde_json::{Map, Value, json};

use super::{Change, Context, Error, Service, authorize};
use crate::domain::credential::{Class, Grant, LIFETIME_DEFAULT, LIFETIME_MAX, Revocation, Verdict};
use crate::domain::log::Entry;
use crate::domain::principal::{OPERATOR, PrincipalKind};
use crate::domain::secret::PlainKey;
use crate::domain::{Caller, Connection, Credential, Id, Operation, Permission, Permissions, Principal, duration};
use crate::store::{self, Conn, credentials::StoredCredential};

/// Keys in a page when none is asked for, and the most that can be asked for.
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;
const NAME_MAX: usize = 200;

/// What a new key shall be; its owner comes beside it.
pub(super) struct NewKey {
    pub(super) name: String,
    pub(super) class: Class,
    pub(super) grant: Grant,
    pub(super) lifetime: TimeDelta,
    pub(super) connection: Option<Id>,
}

/// Issues a key inside a change. The caller has locked the owner and checked that it may.
pub(super) fn issue(change: &mut Change<'_>, owner: &Principal, new: NewKey) -> Result<(Credential, PlainKey), Error> {
    let key = PlainKey::mint(new.class, change.service.entropy());
    let tenant = change.tenant();
    let credential = Credential {
        id: change.mint(),
        owner: owner.id,
        class: new.class,
        connection: new.connection,
        selector: key.selector().to_owned(),
        digest: change.service.keyring().digest(&tenant.id, &key),
        name: new.name,
        grant: new.grant,
        created_at: to_millis(change.now),
        created_by: change.context.caller.key().map(|holder| holder.owner.id),
        expires_at: to_millis(change.now + new.lifetime),
        reasons: vec![],
        revoked: None,
        version: 1,
    };
    let mac = change.service.keyring().row_mac(&credential.canonical(&tenant.id));
    store::credentials::insert(change.conn, tenant.key, &credential, &mac)?;
    let granted: Vec<String> =
        credential.grant.permissions().iter().flat_map(|p| p.iter()).map(Permission::to_string).collect();
    change.record(
        Entry::new(Operation::KeyIssue.action(), "credential", credential.id)
            .with("owner", owner.id.to_string())
            .with("class", credential.class.letter().to_string())
            .with("permissions", granted),
    );
    Ok((credential, key))
}

/// The database keeps milliseconds: the row MAC must cover what is stored.
fn to_millis(time: chrono::DateTime<chrono::Utc>) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp_millis(time.timestamp_millis()).unwrap_or(time)
}

/// Revokes a key for good, inside a change; its record says why.
pub(super) fn revoke(change: &mut Change<'_>, mut credential: Credential, reason: &str) -> Result<Credential, Error> {
    // It may be the caller's own: the log is locked, and the caller looked at, while the key still works.
    change.seq()?;
    credential.revoked = Some(Revocation { at: to_millis(change.now), reason: reason.to_owned() });
    credential.version += 1;
    let tenant = change.tenant();
    let mac = change.service.keyring().row_mac(&credential.canonical(&tenant.id));
    store::credentials::update(change.conn, tenant.key, &credential, &mac)?;
    change.record(
        Entry::new(Operation::KeyRevoke.action(), "credential", credential.id)
            .with("owner", credential.owner.to_string())
            .with("reason", reason),
    );
    Ok(credential)
}

/// Revokes every key of an owner that is not revoked yet.
pub(super) fn revoke_all(change: &mut Change<'_>, owner: &Id, reason: &str) -> Result<(), Error> {
    for stored in store::credentials::of_owner(change.conn, change.key(), owner)? {
        revoke(change, stored.credential, reason)?;
    }
    Ok(())
}

/// The body of `POST /v1/keys`, checked.
struct IssueRequest {
    owner: Owner,
    name: String,
    grant: Option<Permissions>,
    lifetime: Option<TimeDelta>,
}

/// Whom a request names as the owner of a new key.
#[derive(Clone, Debug)]
pub enum Owner {
    /// A principal by id.
    Principal(PrincipalKind, Id),
    /// The operator.
    Operator,
    /// A User by userName (command line).
    UserName(String),
    /// A connection by name: its provisioning key (command line).
    Connection(String),
}

impl Service {
    /// Issues a key (`POST /v1/keys`): the record, with the secret this once.
    ///
    /// # Errors
    /// 422 for a body that cannot be met, 403 over the cap, 409 for an owner that is not live.
    pub fn issue_key(&self, context: &Context, body: &Value) -> Result<Value, Error> {
        let request = issue_request(body)?;
        self.issue(context, request)
    }

    /// Issues a key from the command line.
    ///
    /// # Errors
    /// As [`Service::issue_key`].
    pub fn issue_key_on_host(
        &self,
        context: &Context,
        owner: Owner,
        name: &str,
        grant: &[String],
        expires_in: Option<&str>,
    ) -> Result<Value, Error> {
        let grant = match (grant, &owner) {
            ([], Owner::Operator) => Some(parse_permissions(["keyroll:*:*"])?),
            ([], _) => None,
            (texts, _) => Some(parse_permissions(texts.iter().map(String::as_str))?),
        };
        let lifetime = lifetime(expires_in)?;
        self.issue(context, IssueRequest { owner, name: name.to_owned(), grant, lifetime })
    }

    fn issue(&self, context: &Context, request: IssueRequest) -> Result<Value, Error> {
        self.perform(context, Operation::KeyIssue, None, move |change| {
            let (owner, connection) = find_owner(change, &request.owner)?;
            // The lock makes issue and suspension take turns: no key slips out beside `active:false`.
            let owner = store::principals::lock(change.conn, change.key(), &owner).map_err(Error::from)?;
            let owner = owner.ok_or_else(|| Error::invalid("/owner/id", "no such owner"))?;
            if !owner.is_live() {
                let detail = format!("the owner {} is not live", owner.id);
                return Err(Error::Conflict { code: "owner_not_active", detail });
            }
            let new = match connection {
                Some(connection) => {
                    let new = NewKey::provisioning(&connection);
                    NewKey { name: request.name, lifetime: request.lifetime.unwrap_or(new.lifetime), ..new }
                }
                None => user_key(change, &owner, request)?,
            };
            let (credential, key) = issue(change, &owner, new)?;
            let mut record = render(&credential, &owner, change.now);
            record.insert("key".to_owned(), key.reveal().into());
            Ok(Value::Object(record))
        })
    }

    /// Lists keys (`GET /v1/keys`), oldest first.
    ///
    /// # Errors
    /// 400 for a cursor or count that is none.
    pub fn list_keys(
        &self,
        context: &Context,
        owner: Option<&Id>,
        count: Option<usize>,
        cursor: Option<&str>,
    ) -> Result<Value, Error> {
        let after = cursor.map(|text| text.parse::<i64>()).transpose();
        let after = after.map_err(|_| Error::Malformed("cursor: not one of ours".to_owned()))?;
        let count = count.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        self.ask(context, Operation::KeyList, None, |conn| {
            let tenant = context.caller.tenant.key;
            let mut rows = store::credentials::list(conn, tenant, owner, after, count as i64 + 1)?;
            let more = rows.len() > count;
            rows.truncate(count);
            let next = if more { rows.last().map(|(key, _)| key.to_string()) } else { None };
            let mut keys = Vec::with_capacity(rows.len());
            for (_, stored) in rows {
                keys.push(self.render_stored(conn, context, &stored)?);
            }
            Ok(json!({"keys": keys, "next": next}))
        })
    }

    /// Reads the record of a key.
    ///
    /// # Errors
    /// 404 if there is none in this tenant.
    pub fn read_key(&self, context: &Context, id: &str) -> Result<Value, Error> {
        self.ask(context, Operation::KeyRead, None, |conn| {
            let id = Id::parse(id).ok_or(Error::NotFound)?;
            let stored = store::credentials::find(conn, context.caller.tenant.key, &id)?.ok_or(Error::NotFound)?;
            self.render_stored(conn, context, &stored)
        })
    }

    fn render_stored(&self, conn: &mut Conn, context: &Context, stored: &StoredCredential) -> Result<Value, Error> {
        let owner = store::principals::find(conn, context.caller.tenant.key, &stored.credential.owner)?;
        let owner = owner.ok_or_else(|| Error::internal("a credential without its owner"))?;
        let mut record = render(&stored.credential, &owner, self.now());
        let canonical = stored.credential.canonical(&context.caller.tenant.id);
        if !self.keyring().row_mac_matches(&canonical, &stored.mac) {
            // Its fields are whoever's edited the row: the key itself is refused.
            record.insert("status".to_owned(), "tampered".into());
        }
        Ok(Value::Object(record))
    }

    /// Revokes a key for good; doing it again changes nothing and answers alike.
    ///
    /// # Errors
    /// 404 if there is none, 403 without the permission for a key that is not the caller's own.
    pub fn revoke_key(&self, context: &Context, id: &str, reason: Option<&str>) -> Result<Value, Error> {
        let reason = reason.unwrap_or("requested").to_owned();
        check_reason(&reason)?;
        let id = Id::parse(id).ok_or(Error::NotFound)?;
        self.perform(context, Operation::KeyRevoke, None, move |change| {
            let own = change.context.caller.key().is_some_and(|holder| holder.credential == id);
            if !own {
                require(&change.context.caller, Operation::KeyRevoke)?;
            }
            // The owner first: whoever deletes it holds it while its keys are revoked (design §4, lock order).
            let found = store::credentials::find(change.conn, change.key(), &id)?.ok_or(Error::NotFound)?;
            let owner = store::principals::lock(change.conn, change.key(), &found.credential.owner)?;
            let stored = store::credentials::lock(change.conn, change.key(), &id)?.ok_or(Error::NotFound)?;
            let owner = owner.ok_or_else(|| Error::internal("a credential without its owner"))?;
            let credential = match stored.credential.revoked {
                Some(_) => stored.credential,
                None => revoke(change, stored.credential, &reason)?,
            };
            Ok(Value::Object(render(&credential, &owner, change.now)))
        })
    }

    /// Whether a key works and whose it is (`POST /v1/verify`).
    ///
    /// # Errors
    /// 403 without `keyroll:keys:verify`.
    pub fn verify(&self, context: &Context, key: &str) -> Result<Value, Error> {
        authorize(&context.caller, Operation::KeyVerify, None)?;
        let not_found = json!({"valid": false, "code": Verdict::NotFound.code()});
        let Some(plain) = PlainKey::parse(key) else { return Ok(not_found) };
        let Some(found) = self.prove(key, &plain, self.stamp()?)? else { return Ok(not_found) };
        // A key of another tenant is not found, whatever its state (design §6).
        if found.holder.tenant.key != context.caller.tenant.key {
            return Ok(not_found);
        }
        let verdict = found.verdict(self.now());
        if verdict == Verdict::NotFound {
            return Ok(not_found);
        }
        let owner = &found.holder.owner;
        Ok(json!({
            "valid": verdict == Verdict::Valid,
            "code": verdict.code(),
            "key_id": found.holder.stored.credential.id,
            "owner": {"type": owner.kind.name(), "id": owner.id},
        }))
    }

    /// Who the caller is (`GET /v1/whoami`).
    pub fn whoami(&self, context: &Context) -> Value {
        let tenant = &context.caller.tenant.name;
        match context.caller.key() {
            None => json!({"tenant": tenant, "host": true}),
            Some(holder) => json!({
                "tenant": tenant,
                "key_id": holder.credential,
                "class": holder.class.letter().to_string(),
                "owner": {"type": holder.owner.kind.name(), "id": holder.owner.id},
                "connection": holder.connection.as_ref().map(|connection| &connection.name),
                "permissions": holder.grant.permissions().map(|p| p.texts()).unwrap_or_default(),
            }),
        }
    }
}

/// The permission of an operation that `Keys::Any` lets through for one's own key only.
fn require(caller: &Caller, operation: Operation) -> Result<(), Error> {
    let Some(permission) = Permission::parse(operation.permission()) else { return Ok(()) };
    if caller.connection().is_none() && caller.may(&permission) {
        return Ok(());
    }
    Err(Error::Forbidden(format!("this key does not hold {permission}")))
}

fn find_owner(change: &mut Change<'_>, owner: &Owner) -> Result<(Id, Option<Connection>), Error> {
    let tenant = change.key();
    let missing = |detail: String| Error::invalid("/owner/id", detail);
    match owner {
        Owner::Principal(kind, id) => {
            let found = store::principals::find(change.conn, tenant, id)?;
            match found {
                Some(found) if found.kind == *kind && found.deleted_at.is_none() => Ok((*id, None)),
                _ => Err(missing(format!("no {} has the id {id}", kind.name()))),
            }
        }
        Owner::Operator => {
            let operator = store::principals::local_by_name(change.conn, tenant, OPERATOR)?;
            operator.map(|o| (o.id, None)).ok_or_else(|| missing("the tenant has no operator".to_owned()))
        }
        Owner::UserName(name) => {
            let found = super::users::by_user_name(change.conn, tenant, name)?;
            found.map(|id| (id, None)).ok_or_else(|| missing(format!("no user is named {name}")))
        }
        Owner::Connection(name) => {
            let connection = store::connections::by_name(change.conn, tenant, name)?;
            let connection = connection.ok_or_else(|| missing(format!("no connection is named {name}")))?;
            Ok((connection.agent, Some(connection)))
        }
    }
}

/// The key that a request asks for, held to both caps: the owner's access and the caller's (design §7).
fn user_key(change: &mut Change<'_>, owner: &Principal, request: IssueRequest) -> Result<NewKey, Error> {
    if owner.kind != PrincipalKind::User {
        return Err(Error::invalid("/owner/type", "keys of agents are provisioning keys of their connection"));
    }
    let grant = match request.grant {
        None => Grant::Identity,
        Some(permissions) => {
            check_caps(change, owner, &permissions)?;
            Grant::Permissions(permissions)
        }
    };
    let lifetime = request.lifetime.unwrap_or(LIFETIME_DEFAULT);
    Ok(NewKey { name: request.name, class: Class::User, grant, lifetime, connection: None })
}

fn check_caps(change: &mut Change<'_>, owner: &Principal, grant: &Permissions) -> Result<(), Error> {
    let caller = &change.context.caller;
    let access = change.service.effective_in(change.conn, caller.tenant.key, owner.id)?.permissions;
    for permission in grant.iter() {
        if !access.cover(permission) {
            return Err(Error::Forbidden(format!("the owner does not hold {permission}")));
        }
        let Some(holder) = caller.key() else { continue };
        let minting = Permission::parse(Operation::KeyIssue.permission());
        if minting.is_some_and(|minting| permission.overlaps(&minting)) {
            return Err(Error::Forbidden(format!(
                "{permission} would let the key issue keys: only the host grants that"
            )));
        }
        let own = holder.owner.id == owner.id;
        if (permission.api() == crate::domain::permission::KEYROLL || own) && !caller.may(permission) {
            return Err(Error::Forbidden(format!("the caller does not hold {permission}")));
        }
    }
    Ok(())
}

fn issue_request(body: &Value) -> Result<IssueRequest, Error> {
    let body = body.as_object().ok_or_else(|| Error::Malformed("the body must be a JSON object".to_owned()))?;
    let known = ["name", "owner", "expires_in", "grant"];
    if let Some(unknown) = body.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(Error::invalid(format!("/{unknown}"), format!("{unknown}: no such member")));
    }
    let name = match body.get("name") {
        None => String::new(),
        Some(Value::String(name)) if name.chars().count() <= NAME_MAX => name.clone(),
        Some(_) => return Err(Error::invalid("/name", format!("name: a text of at most {NAME_MAX} letters"))),
    };
    let expires_in = match body.get("expires_in") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.as_str()),
        Some(_) => return Err(Error::invalid("/expires_in", "expires_in: an ISO 8601 duration as text")),
    };
    Ok(IssueRequest { owner: owner(body)?, name, grant: grant(body)?, lifetime: lifetime(expires_in)? })
}

fn owner(body: &Map<String, Value>) -> Result<Owner, Error> {
    let Some(Value::Object(owner)) = body.get("owner") else {
        return Err(Error::invalid("/owner", "owner: an object with type and id is required"));
    };
    let text = |name: &str| owner.get(name).and_then(Value::as_str);
    let kind = text("type").and_then(PrincipalKind::parse);
    let kind = kind.ok_or_else(|| Error::invalid("/owner/type", "owner.type: user or agent"))?;
    let id = text("id").ok_or_else(|| Error::invalid("/owner/id", "owner.id: an id is required"))?;
    if kind == PrincipalKind::User && id == OPERATOR {
        return Ok(Owner::Operator);
    }
    let id = Id::parse(id).ok_or_else(|| Error::invalid("/owner/id", "owner.id: not an id"))?;
    Ok(Owner::Principal(kind, id))
}

/// `"grant":[{"permissions":[…]}]`; omitted means an identity key, empty is refused.
fn grant(body: &Map<String, Value>) -> Result<Option<Permissions>, Error> {
    let Some(grant) = body.get("grant") else { return Ok(None) };
    let items = grant.as_array().ok_or_else(|| Error::invalid("/grant", "grant: a list"))?;
    let mut texts = vec![];
    for (n, item) in items.iter().enumerate() {
        let pointer = format!("/grant/{n}");
        let members = item.as_object().ok_or_else(|| Error::invalid(&*pointer, "grant: a list of objects"))?;
        if let Some(unknown) = members.keys().find(|key| *key != "permissions") {
            return Err(Error::invalid(format!("{pointer}/{unknown}"), format!("{unknown}: no such member")));
        }
        let list = members.get("permissions").and_then(Value::as_array);
        let list =
            list.ok_or_else(|| Error::invalid(format!("{pointer}/permissions"), "permissions: a list of texts"))?;
        for text in list {
            let text = text.as_str();
            texts.push(
                text.ok_or_else(|| Error::invalid(format!("{pointer}/permissions"), "permissions: a list of texts"))?,
            );
        }
    }
    if texts.is_empty() {
        return Err(Error::invalid("/grant", "grant: an empty grant allows nothing; omit it for an identity key"));
    }
    parse_permissions(texts).map(Some)
}

fn parse_permissions<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Permissions, Error> {
    let permissions = Permissions::parse(texts)
        .map_err(|text| Error::invalid("/grant", format!("{text} is not a permission api:resource:action")))?;
    if let Some(other) = permissions.iter().find(|p| p.api() != crate::domain::permission::KEYROLL) {
        return Err(Error::invalid("/grant", format!("{other}: there is no api {}", other.api())));
    }
    Ok(permissions)
}

fn lifetime(text: Option<&str>) -> Result<Option<TimeDelta>, Error> {
    let Some(text) = text else { return Ok(None) };
    let lifetime = duration::parse(text)
        .ok_or_else(|| Error::invalid("/expires_in", format!("expires_in: {text} is not a duration such as P30D")))?;
    if lifetime <= TimeDelta::zero() || lifetime > LIFETIME_MAX {
        return Err(Error::invalid("/expires_in", "expires_in: more than nothing and at most P365D"));
    }
    Ok(Some(lifetime))
}

/// Refuses a reason that is no code: free text in a log that cannot change is personal data (design §8).
pub(super) fn check_reason(reason: &str) -> Result<(), Error> {
    let is_code = (1..=64).contains(&reason.len()) && reason.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if is_code { Ok(()) } else { Err(Error::invalid("/reason", "reason: a code of a–z and _, at most 64 letters")) }
}

/// The record of a key in answers; never its secret.
pub(super) fn render(
    credential: &Credential,
    owner: &Principal,
    now: chrono::DateTime<chrono::Utc>,
) -> Map<String, Value> {
    let time = crate::scim::text::render_time;
    let grant = credential.grant.permissions().map(|p| json!([{"permissions": p.texts()}]));
    let value = json!({
        "id": credential.id,
        "name": credential.name,
        "display": credential.display(),
        "class": credential.class.letter().to_string(),
        "owner": {"type": owner.kind.name(), "id": owner.id},
        "status": credential.status(owner, now),
        "reasons": credential.all_reasons(owner),
        "grant": grant,
        "created_at": time(credential.created_at),
        "expires_at": time(credential.expires_at),
        "revoked_at": credential.revoked.as_ref().map(|r| time(r.at)),
        "revoke_reason": credential.revoked.as_ref().map(|r| r.reason.clone()),
    });
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
