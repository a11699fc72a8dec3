//! What is asked for when a key is issued, and what of it is given: at most what the owner may do, of
//! Keyroll itself at most what the caller may, and the right to issue keys from the host alone (design §7).

use chrono::TimeDelta;
use serde_json::{Map, Value};

use crate::domain::class::Class;
use crate::domain::credential::{Grant, LIFETIME_DEFAULT, LIFETIME_MAX, Status};
use crate::domain::permission::KEYROLL;
use crate::domain::principal::{OPERATOR, PrincipalKind};
use crate::domain::secret::holds_key_text;
use crate::domain::{Connection, Id, Operation, Permission, Principal, duration};
use crate::service::access::{liveness, people};
use crate::service::fields::Fields;
use crate::service::keys::list::render;
use crate::service::keys::{NewKey, hint, issue};
use crate::service::{Change, Context, Error, Service, access, change};
use crate::store;

const NAME_MAX: usize = 200;
/// Permissions in one grant: they are read with the key, each time.
const PERMISSIONS_MAX: usize = 1_000;

/// The body of `POST /v1/keys`, checked.
struct IssueRequest {
    owner: Owner,
    name: String,
    grant: Option<Vec<Asked>>,
    lifetime: Option<TimeDelta>,
}

/// A permission that a request asks for, and where.
struct Asked {
    permission: Permission,
    pointer: String,
}

/// Whom a request names as the owner of a new key.
#[derive(Clone, Debug)]
pub enum Owner {
    /// A principal by id.
    Principal(PrincipalKind, Id),
    /// The operator.
    Operator,
    /// A User by userName, or an Agent by name (command line).
    Named(String),
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
        issue_asked(self, context, request)
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
        let texts: Vec<&str> = match (grant, &owner) {
            ([], Owner::Operator) => vec!["keyroll:*:*"],
            (texts, _) => texts.iter().map(String::as_str).collect(),
        };
        let all = texts.into_iter().enumerate().map(|(n, text)| asked(0, n, text));
        let all = all.collect::<Result<Vec<Asked>, Error>>()?;
        let grant = if all.is_empty() { None } else { Some(all) };
        let lifetime = lifetime(expires_in)?;
        issue_asked(self, context, IssueRequest { owner, name: name.to_owned(), grant, lifetime })
    }
}

fn issue_asked(service: &Service, context: &Context, request: IssueRequest) -> Result<Value, Error> {
    change::perform(service, context, Operation::KeyIssue, None, move |change| {
        let (owner, connection) = find_owner(change, &request.owner)?;
        // The lock makes issue and suspension take turns: no key slips out beside `active:false`.
        let owner = store::principals::lock(change.conn, change.key(), &owner).map_err(Error::from)?;
        let owner = owner.ok_or_else(|| Error::invalid("/owner/id", "no such owner"))?;
        if !owner.is_live() {
            return Err(not_live(hint::not_live(change, &owner)));
        }
        let new = match connection {
            Some(connection) => {
                let new = NewKey::provisioning(&connection);
                NewKey { name: request.name.clone(), lifetime: request.lifetime.unwrap_or(new.lifetime), ..new }
            }
            None => own_key(change, &owner, &request)?,
        };
        let (credential, key) = issue(change, &owner, new)?;
        let mut record = render(&credential, Some((&owner, true)), Status::Active, None);
        record.insert("key".to_owned(), key.reveal().into());
        Ok(Value::Object(record))
    })
}

fn not_live(detail: String) -> Error {
    Error::Conflict { code: "owner_not_active", detail }
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
        Owner::Named(name) => {
            let found = people::by_name(change.conn, tenant, name)?;
            match found {
                Some(id) => Ok((id, None)),
                None => Err(missing(hint::nobody(change, name)?)),
            }
        }
        Owner::Connection(name) => {
            let connection = store::connections::by_name(change.conn, tenant, name)?;
            let connection = connection.ok_or_else(|| missing(format!("no connection is named {name}")))?;
            Ok((connection.agent, Some(connection)))
        }
    }
}

/// The key that a request asks for: a person's or an agent's, held to what both owner and caller may do.
fn own_key(change: &mut Change<'_>, owner: &Principal, request: &IssueRequest) -> Result<NewKey, Error> {
    let class = match owner.kind {
        PrincipalKind::User => Class::User,
        PrincipalKind::Agent if owner.local => {
            return Err(Error::invalid("/owner/id", "the agent of a connection owns provisioning keys only"));
        }
        PrincipalKind::Agent => Class::Service,
    };
    // From here on nobody takes a permission, a role or a sponsor away before the key is there.
    change.seq()?;
    if !liveness::is_sponsored(change.conn, change.key(), owner)? {
        return Err(not_live(hint::unsponsored(change, owner)));
    }
    let grant = match &request.grant {
        None => Grant::Identity,
        Some(asked) => {
            check_known(change, asked)?;
            check_caps(change, owner, asked)?;
            Grant::Permissions(asked.iter().map(|one| one.permission.clone()).collect())
        }
    };
    let lifetime = request.lifetime.unwrap_or(LIFETIME_DEFAULT);
    Ok(NewKey { name: request.name.clone(), class, grant, lifetime, connection: None })
}

/// What no api offers is a slip of the pen: it would seem to be granted and never be.
fn check_known(change: &mut Change<'_>, asked: &[Asked]) -> Result<(), Error> {
    let policy = change.policy()?;
    match asked.iter().find(|one| !policy.knows(&one.permission)) {
        Some(one) => Err(Error::invalid(&*one.pointer, policy.why_unknown(&one.permission))),
        None => Ok(()),
    }
}

fn check_caps(change: &mut Change<'_>, owner: &Principal, asked: &[Asked]) -> Result<(), Error> {
    let tenant = change.key();
    let access = access::effective_in(change.service, change.conn, tenant, owner.id)?.permissions;
    for permission in asked.iter().map(|one| &one.permission) {
        if !access.cover(permission) {
            return Err(hint::lacking(change, owner, permission)?);
        }
        let caller = &change.context.caller;
        let Some(holder) = caller.key() else { continue };
        let minting = Permission::parse(Operation::KeyIssue.permission());
        if minting.is_some_and(|minting| permission.overlaps(&minting)) {
            return Err(Error::Forbidden(format!(
                "{permission} would let the key issue keys: only the host grants that"
            )));
        }
        let own = holder.owner.id == owner.id;
        if (permission.api() == KEYROLL || own) && !caller.may(permission) {
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
        Some(Value::String(name)) if holds_key_text(name) => {
            return Err(Error::invalid("/name", "name: a key's text stands in it: it is not kept"));
        }
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
fn grant(body: &Map<String, Value>) -> Result<Option<Vec<Asked>>, Error> {
    let Some(grant) = body.get("grant") else { return Ok(None) };
    let items = grant.as_array().ok_or_else(|| Error::invalid("/grant", "grant: a list"))?;
    let mut all = vec![];
    for (n, item) in items.iter().enumerate() {
        let fields = Fields::of(item, &format!("/grant/{n}"), &["permissions"])?;
        for (m, text) in fields.texts("permissions", PERMISSIONS_MAX)?.into_iter().enumerate() {
            all.push(asked(n, m, text)?);
        }
    }
    if all.is_empty() {
        return Err(Error::invalid("/grant", "grant: an empty grant allows nothing; omit it for an identity key"));
    }
    if all.len() > PERMISSIONS_MAX {
        return Err(Error::invalid("/grant", format!("grant: at most {PERMISSIONS_MAX} permissions")));
    }
    Ok(Some(all))
}

fn asked(item: usize, place: usize, text: &str) -> Result<Asked, Error> {
    let pointer = format!("/grant/{item}/permissions/{place}");
    match Permission::parse(text) {
        Some(permission) => Ok(Asked { permission, pointer }),
        None => Err(Error::invalid(pointer, format!("{text} is not a permission api:resource:action"))),
    }
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
