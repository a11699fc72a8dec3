//! What people call those whom answers name by id.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use crate::domain::Id;
use crate::domain::mapping::{Person, Source};
use crate::domain::principal::PrincipalKind;
use crate::service::{Context, Error, Service};

/// Names by id; of those that are deleted there are none.
pub(super) type Names = HashMap<Id, String>;

/// A principal as a table shows it.
#[derive(Serialize)]
pub(super) struct Named {
    #[serde(rename = "type")]
    kind: PrincipalKind,
    id: Id,
    name: Option<String>,
}

/// The names of some principals.
pub(super) fn of(service: &Service, context: &Context, ids: impl Iterator<Item = Id>) -> Result<Names, Error> {
    let ids: BTreeSet<Id> = ids.collect();
    service.names(context, &ids.into_iter().collect::<Vec<_>>())
}

/// A principal with its name.
pub(super) fn named(names: &Names, Person { kind, id }: Person) -> Named {
    Named { kind, id, name: names.get(&id).cloned() }
}

/// The principal that a source names.
pub(super) fn person_of(source: &Source) -> Option<Id> {
    if let Source::Person { person, .. } = source { Some(person.id) } else { None }
}
