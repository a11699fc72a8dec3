//! What people call those whom answers name by id.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use crate::domain::Id;
use crate::service::{Context, Error, Service};

/// The members of answers that name a principal: by its type and its id.
const MEMBERS: [&str; 2] = ["principal", "person"];

/// Puts its name beside the id of each principal in an answer for people; of one that is deleted none is kept.
pub(super) fn put(service: &Service, context: &Context, answer: &mut Value) -> Result<(), Error> {
    let names = of(service, context, answer)?;
    each(answer, &mut |principal| insert(principal, &names));
    Ok(())
}

/// The names of the principals in an answer, by id; of those that are deleted there are none.
pub(super) fn of(service: &Service, context: &Context, answer: &mut Value) -> Result<HashMap<Id, String>, Error> {
    let mut ids = BTreeSet::new();
    each(answer, &mut |principal| ids.extend(id(principal)));
    service.names(context, &ids.into_iter().collect::<Vec<_>>())
}

fn each(value: &mut Value, visit: &mut impl FnMut(&mut Value)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| each(item, visit)),
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                if MEMBERS.contains(&name.as_str()) {
                    visit(member);
                } else {
                    each(member, visit);
                }
            }
        }
        _ => {}
    }
}

pub(super) fn id(principal: &Value) -> Option<Id> {
    Id::parse(principal.get("id")?.as_str()?)
}

fn insert(principal: &mut Value, names: &HashMap<Id, String>) {
    let name = id(principal).and_then(|id| names.get(&id));
    if let (Some(name), Some(members)) = (name, principal.as_object_mut()) {
        members.insert("name".to_owned(), name.as_str().into());
    }
}
