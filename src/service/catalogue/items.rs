//! What apis and roles have in common: each is found by its name, replaced as a whole and removed when nobody
//! builds on it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::log::Entry;
use crate::domain::{Operation, Policy};
use crate::service::access::policy;
use crate::service::catalogue::{Tagged, end, find, in_use, put, taken};
use crate::service::conditions::Conditions;
use crate::service::impact::affected::Affected;
use crate::service::{Change, Context, Error, Service, caller, change};
use crate::store::catalogue::Kind;

/// An api or a role.
pub(in crate::service) trait Item:
    Clone + PartialEq + Serialize + DeserializeOwned + Send + 'static
{
    /// As a request describes it, read and not yet held against the catalogue.
    type Draft: Send + 'static;
    /// As answers show it.
    type Response: Send + 'static;

    /// Its table in the store.
    const KIND: Kind;
    /// What it is called in records and messages.
    const WORD: &'static str;
    /// Its operations.
    const OPERATIONS: Operations;

    fn of(draft: &Self::Draft) -> &Self;
    fn name(&self) -> &str;
    fn all(policy: &Policy) -> &BTreeMap<String, Self>;
    /// When it, or what its answer shows beside it, was changed last.
    fn version(policy: &Policy, name: &str) -> i64;
    /// 403 for what is part of Keyroll.
    fn check_not_built_in(name: &str) -> Result<(), Error>;
    /// What a definition must meet; gives what answers will show of it.
    fn check(change: &mut Change<'_>, before: &Policy, draft: &Self::Draft) -> Result<Self::Response, Error>;
    /// Who builds on it, in words; `None` if it can go.
    fn user(policy: &Policy, name: &str) -> Option<String>;
    fn affected(policy: &Policy, name: &str) -> Affected;
    fn render(&self, policy: &Policy) -> Self::Response;
}

/// The operations on a kind of item.
pub(in crate::service) struct Operations {
    pub(in crate::service) list: Operation,
    pub(in crate::service) read: Operation,
    pub(in crate::service) create: Operation,
    pub(in crate::service) replace: Operation,
    pub(in crate::service) delete: Operation,
}

/// All of them, by name.
pub(super) fn list<I: Item>(service: &Service, context: &Context) -> Result<Vec<I::Response>, Error> {
    caller::ask(service, context, I::OPERATIONS.list, None, |conn| {
        let policy = policy::now(service, conn, context.caller.tenant.key)?;
        Ok(I::all(&policy).values().map(|item| item.render(&policy)).collect())
    })
}

/// One of them.
pub(super) fn read<I: Item>(
    service: &Service,
    context: &Context,
    name: &str,
    conditions: &Conditions,
) -> Result<Tagged<I::Response>, Error> {
    caller::ask(service, context, I::OPERATIONS.read, None, |conn| {
        let policy = policy::now(service, conn, context.caller.tenant.key)?;
        let item = I::all(&policy).get(name).ok_or(Error::NotFound)?;
        Tagged::unless_known(I::version(&policy, name), conditions, || item.render(&policy))
    })
}

/// Stores a new one.
pub(super) fn create<I: Item>(
    service: &Service,
    context: &Context,
    draft: I::Draft,
) -> Result<Tagged<I::Response>, Error> {
    change::perform(service, context, I::OPERATIONS.create, None, move |change| {
        change.seq()?;
        let item = I::of(&draft);
        if find::<I>(change.conn, change.key(), I::KIND, item.name())?.is_some() {
            return Err(taken(I::WORD, item.name()));
        }
        define::<I>(change, &draft, I::OPERATIONS.create)
    })
}

/// Stores another definition; the same again changes nothing.
pub(super) fn replace<I: Item>(
    service: &Service,
    context: &Context,
    draft: I::Draft,
    conditions: &Conditions,
) -> Result<Tagged<I::Response>, Error> {
    let conditions = conditions.clone();
    change::perform(service, context, I::OPERATIONS.replace, None, move |change| {
        let (item, policy) = (I::of(&draft), change.policy()?);
        let before = I::all(&policy).get(item.name()).ok_or(Error::NotFound)?;
        let version = I::version(&policy, item.name());
        conditions.check_write(version)?;
        if before == item {
            return Ok(Tagged::of(version, item.render(&policy)));
        }
        define::<I>(change, &draft, I::OPERATIONS.replace)
    })
}

/// Removes one that nobody builds on.
pub(super) fn delete<I: Item>(
    service: &Service,
    context: &Context,
    name: &str,
    conditions: &Conditions,
) -> Result<(), Error> {
    let (name, conditions) = (name.to_owned(), conditions.clone());
    change::perform(service, context, I::OPERATIONS.delete, None, move |change| {
        I::check_not_built_in(&name)?;
        let policy = change.policy()?;
        I::all(&policy).get(&name).ok_or(Error::NotFound)?;
        conditions.check_write(I::version(&policy, &name))?;
        if let Some(user) = I::user(&policy, &name) {
            return Err(in_use(user));
        }
        end(change, I::KIND, &name, Entry::new(I::OPERATIONS.delete.action(), I::WORD, &name))
    })
}

fn define<I: Item>(
    change: &mut Change<'_>,
    draft: &I::Draft,
    operation: Operation,
) -> Result<Tagged<I::Response>, Error> {
    let policy = change.policy()?;
    let shown = I::check(change, &policy, draft)?;
    save(change, &policy, I::of(draft), operation)?;
    Tagged::recorded(change, shown)
}

/// Stores one that was checked. The record names what it concerns.
pub(in crate::service) fn save<I: Item>(
    change: &mut Change<'_>,
    before: &Policy,
    item: &I,
    operation: Operation,
) -> Result<(), Error> {
    let entry = Entry::new(operation.action(), I::WORD, item.name());
    put(change, I::KIND, item.name(), item, I::affected(before, item.name()).on(entry))
}
