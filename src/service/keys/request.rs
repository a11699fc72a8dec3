//! What is asked for when a key is issued; what of it may be given is decided in [`caps`](super::caps).

use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::domain::class::Class;
use crate::domain::credential::{Grant, GrantPart, LIFETIME_DEFAULT, LIFETIME_MAX, Status, When};
use crate::domain::principal::{OPERATOR, PrincipalKind};
use crate::domain::secret::holds_secret;
use crate::domain::{Connection, Id, Operation, Permission, Permissions, Principal, duration};
use crate::service::access::people;
use crate::service::keys::caps::{check_issue, check_live};
use crate::service::keys::owner::check_room;
use crate::service::keys::response::{IssuedKey, KeyResponse};
use crate::service::keys::{NOTE_MAX, NewKey, hint, issue};
use crate::service::request::{List, Object, Text, present};
use crate::service::{Change, Context, Error, Service, change};
use crate::store;

pub(in crate::service::keys) const NAME_MAX: usize = 200;
/// Permissions in one grant: they are read with the key, each time.
pub(in crate::service::keys) const PERMISSIONS_MAX: usize = 1_000;

/// A key that is to be issued.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyRequest {
    /// Whose it will be.
    pub owner: Object<OwnerRequest>,
    /// For people.
    pub name: Option<Text<NAME_MAX>>,
    /// What it may at most be used for; without it, it only tells whose it is. An empty list is refused.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "List<Object<GrantRequest>, PERMISSIONS_MAX>")]
    pub grant: Option<List<Object<GrantRequest>, PERMISSIONS_MAX>>,
    /// How long it works: an ISO 8601 duration of at most `P365D`; 90 days without one.
    #[schemars(extend("format" = "duration"))]
    pub expires_in: Option<Text>,
}

/// The owner of a key that is to be issued.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnerRequest {
    /// User or agent.
    #[serde(rename = "type")]
    pub kind: PrincipalKind,
    /// Its id; of a user also `operator`.
    pub id: Text,
}

/// What a key may at most be used for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantRequest {
    /// Permissions and patterns of them.
    pub permissions: Option<List<Permission, PERMISSIONS_MAX>>,
    /// What must hold of a request for them to count.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "When")]
    pub when: Option<Object<When>>,
}

/// Why a key is revoked.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeRequest {
    /// A code of `a`–`z` and `_`, or a text for people, which is kept beside the key until its owner is deleted.
    #[schemars(length(min = 1, max = NOTE_MAX))]
    pub reason: Option<String>,
}

/// A ceiling of one part, as the command line has it.
pub struct GrantTexts<'t> {
    /// Permissions and patterns of them.
    pub permissions: &'t [String],
    /// What must hold of a request for them to count.
    pub when: When,
}

impl GrantTexts<'_> {
    /// One that counts always.
    pub fn of(permissions: &[String]) -> GrantTexts<'_> {
        GrantTexts { permissions, when: When::default() }
    }

    fn asked(&self) -> Result<AskedGrant, Error> {
        let all = self.permissions.iter().enumerate().map(|(n, text)| asked(0, n, text));
        Ok(AskedGrant(vec![(all.collect::<Result<_, _>>()?, self.when.clone())]))
    }
}

/// What is asked for, checked.
struct IssueRequest {
    owner: Owner,
    name: String,
    grant: Option<AskedGrant>,
    lifetime: Option<TimeDelta>,
}

/// A ceiling that a request asks for.
#[derive(Default)]
pub(in crate::service::keys) struct AskedGrant(pub(in crate::service::keys) Vec<(Vec<Asked>, When)>);

impl AskedGrant {
    /// Every permission of it, and where it stands.
    pub(in crate::service::keys) fn all(&self) -> impl Iterator<Item = &Asked> {
        self.0.iter().flat_map(|(permissions, _)| permissions)
    }

    /// The same as a ceiling. What hangs on no condition is one part of it, the first.
    pub(in crate::service::keys) fn grant(&self) -> Grant {
        let of = |asked: &Vec<Asked>| asked.iter().map(|one| one.permission.clone()).collect::<Vec<_>>();
        let (always, sometimes): (Vec<_>, Vec<_>) = self.0.iter().partition(|(_, when)| when.is_always());
        let always: Permissions = always.iter().flat_map(|(asked, _)| of(asked)).collect();
        let always = Some(always).filter(|all| !all.is_empty());
        let parts = always.map(|permissions| GrantPart { permissions, when: When::default() }).into_iter();
        let sometimes = sometimes
            .into_iter()
            .map(|(asked, when)| GrantPart { permissions: of(asked).into_iter().collect(), when: when.clone() });
        Grant::Parts(parts.chain(sometimes).collect())
    }
}

/// A permission that a request asks for, and where.
pub(in crate::service::keys) struct Asked {
    pub(in crate::service::keys) permission: Permission,
    pub(in crate::service::keys) pointer: String,
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
    pub fn issue_key(&self, context: &Context, request: &KeyRequest) -> Result<IssuedKey, Error> {
        issue_asked(self, context, request.checked()?)
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
        grant: &GrantTexts<'_>,
        expires_in: Option<&str>,
    ) -> Result<IssuedKey, Error> {
        let all = ["keyroll:*:*".to_owned()];
        let grant = match (grant.permissions, &owner) {
            ([], Owner::Operator) => Some(GrantTexts::of(&all).asked()?),
            ([], _) => None,
            _ => Some(grant.asked()?),
        };
        let (name, lifetime) = (checked_name(name)?.to_owned(), lifetime(expires_in)?);
        issue_asked(self, context, IssueRequest { owner, name, grant, lifetime })
    }
}

fn issue_asked(service: &Service, context: &Context, request: IssueRequest) -> Result<IssuedKey, Error> {
    change::perform(service, context, Operation::KeyIssue, None, move |change| {
        let (owner, connection) = find_owner(change, &request.owner)?;
        let owner = store::principals::find(change.conn, change.key(), &owner).map_err(Error::from)?;
        let owner = owner.ok_or_else(|| Error::invalid("/owner/id", "no such owner"))?;
        check_live(change, &owner)?;
        let new = match connection {
            Some(connection) => {
                let new = NewKey::provisioning(&connection);
                NewKey { name: request.name.clone(), lifetime: request.lifetime.unwrap_or(new.lifetime), ..new }
            }
            None => own_key(change, &owner, &request)?,
        };
        let (credential, key) = issue(change, &owner, new)?;
        let record = KeyResponse::of(&credential, Some((&owner, true)), Status::Active, None);
        Ok(IssuedKey { record, key: key.reveal() })
    })
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
    check_issue(change, owner, request.grant.as_ref().unwrap_or(&AskedGrant::default()))?;
    check_room(change, owner)?;
    let grant = match &request.grant {
        None => Grant::Identity,
        Some(asked) => asked.grant(),
    };
    let lifetime = request.lifetime.unwrap_or(LIFETIME_DEFAULT);
    Ok(NewKey { name: request.name.clone(), class, grant, lifetime, connection: None })
}

/// A key's name, unless a key stands in it.
pub(in crate::service::keys) fn checked_name(name: &str) -> Result<&str, Error> {
    match holds_secret(name) {
        true => Err(Error::invalid("/name", "name: a key's text stands in it: it is not kept")),
        false => Ok(name),
    }
}

impl KeyRequest {
    fn checked(&self) -> Result<IssueRequest, Error> {
        Ok(IssueRequest {
            owner: self.owner.0.parse()?,
            name: checked_name(self.name.as_deref().unwrap_or_default())?.to_owned(),
            grant: self.grant.as_ref().map(grant).transpose()?,
            lifetime: lifetime(self.expires_in.as_deref())?,
        })
    }
}

impl OwnerRequest {
    fn parse(&self) -> Result<Owner, Error> {
        if self.kind == PrincipalKind::User && &*self.id == OPERATOR {
            return Ok(Owner::Operator);
        }
        let id = Id::parse(&self.id).ok_or_else(|| Error::invalid("/owner/id", "id: not an id"))?;
        Ok(Owner::Principal(self.kind, id))
    }
}

/// What all grants ask for: without any permission, the request should have none.
pub(in crate::service::keys) fn grant(
    List(items): &List<Object<GrantRequest>, PERMISSIONS_MAX>,
) -> Result<AskedGrant, Error> {
    let mut all = AskedGrant::default();
    for (n, Object(item)) in items.iter().enumerate() {
        let permissions = item.permissions.iter().flat_map(|list| list.0.iter().cloned());
        let asked = permissions.enumerate().map(|(m, permission)| Asked { permission, pointer: pointer(n, m) });
        let when = item.when.as_ref().map(|Object(when)| when.clone());
        if when.as_ref().is_some_and(When::is_always) {
            let detail = "when: no condition; omit it where none is meant";
            return Err(Error::invalid(format!("/grant/{n}/when"), detail));
        }
        match (asked.collect::<Vec<_>>(), when.unwrap_or_default()) {
            (none, when) if none.is_empty() && when.is_always() => {}
            (none, _) if none.is_empty() => {
                let detail = "permissions: a condition alone allows nothing";
                return Err(Error::invalid(format!("/grant/{n}/permissions"), detail));
            }
            part => all.0.push(part),
        }
    }
    match all.all().count() {
        0 => Err(Error::invalid("/grant", "grant: an empty grant allows nothing; omit it for an identity key")),
        1..=PERMISSIONS_MAX => Ok(all),
        _ => Err(Error::invalid("/grant", format!("grant: at most {PERMISSIONS_MAX} permissions"))),
    }
}

fn pointer(item: usize, place: usize) -> String {
    format!("/grant/{item}/permissions/{place}")
}

pub(in crate::service::keys) fn asked(item: usize, place: usize, text: &str) -> Result<Asked, Error> {
    let pointer = pointer(item, place);
    match Permission::parse(text) {
        Some(permission) => Ok(Asked { permission, pointer }),
        None => Err(Error::invalid(pointer, format!("{text} is not a permission api:resource:action"))),
    }
}

pub(in crate::service::keys) fn lifetime(text: Option<&str>) -> Result<Option<TimeDelta>, Error> {
    let Some(text) = text else { return Ok(None) };
    let lifetime = duration::parse(text)
        .ok_or_else(|| Error::invalid("/expires_in", format!("expires_in: {text} is not a duration such as P30D")))?;
    if lifetime <= TimeDelta::zero() || lifetime > LIFETIME_MAX {
        return Err(Error::invalid("/expires_in", "expires_in: more than nothing and at most P365D"));
    }
    Ok(Some(lifetime))
}
