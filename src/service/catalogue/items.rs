//! What apis and roles have in common: each is found by its name, replaced as a whole and removed when nobody
//! builds on it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::log::Entry;
use crate::domain::role::Name;
use crate::domain::{Operation, Policy};
use crate::service::access::policy;
use crate::service::catalogue::{Tagged, end, find, in_use, put, taken};
use crate::service::conditions::Conditions;
use crate::service::impact::affected::Affected;
use crate::service::{Change, Context, Error, Service, caller, change};
use crate::store::catalogue::Kind;

/// An api or a role.
pub trait Item: Clone + PartialEq + Serialize + DeserializeOwned + Send + 'static {
    /// Which of the two.
    const KIND: Kind;
    /// As somebody describes it.
    type Request: DeserializeOwned;
    /// The same, read and not yet held against the catalogue.
    type Draft: Send + 'static;
    /// As answers show it.
    type Response: Serialize + Send + 'static;
    /// All of them, as answers show them.
    type List: Serialize;

    /// What it is called in records and messages.
    fn word() -> &'static str {
        Self::KIND.name()
    }

    /// What a request describes; for a replacement the name is the URL's.
    ///
    /// # Errors
    /// 422 for what breaks the rules by itself, 403 for what is part of Keyroll.
    fn draft(request: Self::Request, name: Option<&str>) -> Result<Self::Draft, Error>;
    /// What a draft is of.
    fn of(draft: &Self::Draft) -> &Self;
    /// By which it is found.
    fn name(&self) -> &str;
    /// All of them, by name.
    fn all(policy: &Policy) -> &BTreeMap<String, Self>;
    /// When it, or what its answer shows beside it, was changed last.
    fn version(policy: &Policy, name: &str) -> i64;
    /// Lets be what is not part of Keyroll.
    ///
    /// # Errors
    /// 403 for what is.
    fn check_not_built_in(name: &str) -> Result<(), Error>;
    /// What a definition must meet; gives what answers will show of it.
    ///
    /// # Errors
    /// 422, 409 or 403 for a definition that does not meet it.
    fn check(change: &mut Change<'_>, before: &Policy, draft: &Self::Draft) -> Result<Self::Response, Error>;
    /// Who builds on it, in words; `None` if it can go.
    fn user(policy: &Policy, name: &str) -> Option<String>;
    /// Whom another definition of it concerns.
    fn affected(policy: &Policy, name: &str) -> Affected;
    /// What an answer shows of it.
    fn render(&self, policy: &Policy) -> Self::Response;
    /// The name that an answer shows.
    fn name_in(response: &Self::Response) -> &str;
    /// An answer with all of them.
    fn list(all: Vec<Self::Response>) -> Self::List;
}

/// What can be done with the items of a kind.
#[derive(Clone, Copy)]
pub(in crate::service) enum Verb {
    List,
    Read,
    Create,
    Replace,
    Delete,
}

impl Verb {
    /// The operation that does it.
    pub(in crate::service) fn on(self, kind: Kind) -> Operation {
        match (kind, self) {
            (Kind::Api, Verb::List) => Operation::ApiList,
            (Kind::Api, Verb::Read) => Operation::ApiRead,
            (Kind::Api, Verb::Create) => Operation::ApiCreate,
            (Kind::Api, Verb::Replace) => Operation::ApiReplace,
            (Kind::Api, Verb::Delete) => Operation::ApiDelete,
            (Kind::Role, Verb::List) => Operation::RoleList,
            (Kind::Role, Verb::Read) => Operation::RoleRead,
            (Kind::Role, Verb::Create) => Operation::RoleCreate,
            (Kind::Role, Verb::Replace) => Operation::RoleReplace,
            (Kind::Role, Verb::Delete) => Operation::RoleDelete,
            (Kind::Mapping, Verb::List) => Operation::MappingList,
            (Kind::Mapping, Verb::Read) => Operation::MappingRead,
            (Kind::Mapping, Verb::Create) => Operation::MappingCreate,
            (Kind::Mapping, Verb::Replace) => Operation::MappingReplace,
            (Kind::Mapping, Verb::Delete) => Operation::MappingDelete,
        }
    }
}

impl Service {
    /// All apis or roles, by name, those of Keyroll included.
    ///
    /// # Errors
    /// 403 without the permission.
    pub fn list_items<I: Item>(&self, context: &Context) -> Result<I::List, Error> {
        let all = caller::ask(self, context, Verb::List.on(I::KIND), None, |conn| {
            let policy = policy::now(self, conn, context.caller.tenant.key)?;
            Ok(I::all(&policy).values().map(|item| item.render(&policy)).collect())
        })?;
        Ok(I::list(all))
    }

    /// One api or role.
    ///
    /// # Errors
    /// 404 if there is none of that name, 412 for another tag than `If-Match` names.
    pub fn read_item<I: Item>(
        &self,
        context: &Context,
        name: &str,
        conditions: &Conditions,
    ) -> Result<Tagged<I::Response>, Error> {
        caller::ask(self, context, Verb::Read.on(I::KIND), None, |conn| {
            let policy = policy::now(self, conn, context.caller.tenant.key)?;
            let item = I::all(&policy).get(name).ok_or(Error::NotFound)?;
            Tagged::unless_known(I::version(&policy, name), conditions, || item.render(&policy))
        })
    }

    /// Registers an api, or defines a role.
    ///
    /// # Errors
    /// 422 for a request that breaks the rules, 409 for a name that is taken, 403 for what is Keyroll's own, or
    /// gives more of it than the caller holds.
    pub fn create_item<I: Item>(&self, context: &Context, request: I::Request) -> Result<Tagged<I::Response>, Error> {
        let draft = I::draft(request, None)?;
        change::perform(self, context, Verb::Create.on(I::KIND), None, move |change| {
            let item = I::of(&draft);
            if find::<I>(change.conn, change.key(), I::KIND, item.name())?.is_some() {
                return Err(taken(I::word(), item.name()));
            }
            change.context.noted.subject(item.name());
            define::<I>(change, &draft, Verb::Create)
        })
    }

    /// Replaces an api, or the definition of a role: whoever holds it gains and loses at once. The same again
    /// changes nothing.
    ///
    /// # Errors
    /// As [`Service::create_item`]; 404 if there is none, 412 for another tag than `If-Match` names, 409 if a role
    /// uses a permission of an api that would go.
    pub fn replace_item<I: Item>(
        &self,
        context: &Context,
        name: &str,
        request: I::Request,
        conditions: &Conditions,
    ) -> Result<Tagged<I::Response>, Error> {
        let (draft, conditions) = (I::draft(request, Some(name))?, conditions.clone());
        change::perform(self, context, Verb::Replace.on(I::KIND), None, move |change| {
            let (item, policy) = (I::of(&draft), change.policy()?);
            let before = I::all(&policy).get(item.name()).ok_or(Error::NotFound)?;
            let version = I::version(&policy, item.name());
            conditions.check_write(version)?;
            change.context.noted.subject(item.name());
            if before == item {
                return Ok(Tagged::of(version, item.render(&policy)));
            }
            define::<I>(change, &draft, Verb::Replace)
        })
    }

    /// Removes an api or a role.
    ///
    /// # Errors
    /// 404 if there is none, 403 for a built-in one, 412 for another tag than `If-Match` names, 409 if a role or a
    /// mapping builds on it.
    pub fn delete_item<I: Item>(&self, context: &Context, name: &str, conditions: &Conditions) -> Result<(), Error> {
        let (name, conditions) = (name.to_owned(), conditions.clone());
        change::perform(self, context, Verb::Delete.on(I::KIND), None, move |change| {
            I::check_not_built_in(&name)?;
            let policy = change.policy()?;
            I::all(&policy).get(&name).ok_or(Error::NotFound)?;
            conditions.check_write(I::version(&policy, &name))?;
            if let Some(user) = I::user(&policy, &name) {
                return Err(in_use(user));
            }
            change.context.noted.subject(&name);
            end(change, I::KIND, &name, Entry::new(Verb::Delete.on(I::KIND).action(), I::word(), &name))
        })
    }
}

/// The name of what a request describes: for a replacement the one in the URL, which is not that of something built
/// in and is kept.
pub(super) fn named<I: Item>(own: Option<Name>, url: Option<&str>) -> Result<String, Error> {
    let refuse = |detail: String| Err(Error::invalid("/name", format!("name: {detail}")));
    match (own, url) {
        (Some(own), None) => Ok(own.0),
        (None, None) => refuse("is required".to_owned()),
        (own, Some(url)) => {
            I::check_not_built_in(url)?;
            match own {
                Some(own) if own.0 != url => {
                    refuse(format!("is {url}: a name stays, and this {} has another", I::word()))
                }
                _ => Ok(url.to_owned()),
            }
        }
    }
}

fn define<I: Item>(change: &mut Change<'_>, draft: &I::Draft, verb: Verb) -> Result<Tagged<I::Response>, Error> {
    let policy = change.policy()?;
    let shown = I::check(change, &policy, draft)?;
    save(change, &policy, I::of(draft), verb)?;
    Tagged::recorded(change, shown)
}

/// Stores one that was checked. The record names what it concerns.
pub(in crate::service) fn save<I: Item>(
    change: &mut Change<'_>,
    before: &Policy,
    item: &I,
    verb: Verb,
) -> Result<(), Error> {
    let entry = Entry::new(verb.on(I::KIND).action(), I::word(), item.name());
    put(change, I::KIND, item.name(), item, I::affected(before, item.name()).on(entry))
}
