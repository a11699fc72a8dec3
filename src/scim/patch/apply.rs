//! Applies operations to a copy of a document, one after the other. It is the only copy: what differs in the end is
//! for the caller to find out, who may change it further.

use serde_json::{Map, Value};

use super::super::attribute::Attribute;
use super::super::error::Error;
use super::super::members::is_nothing;
use super::super::path::AttrRef;
use super::super::schema::{COMMON, ResourceType, Schema};
use super::super::tolerance::{Tolerance, Tolerances};
use super::super::{unknown, validate};
use super::elements::{self, Choice};
use super::merge::{given_object, merge, set_sub, settled};
use super::{Applied, Op, Operation, RowChange, Target, in_operation, rows, taking};

/// Applies operations to a stored document: `schemas`, `externalId` and the attributes, without `id`,
/// `meta`, `groups` and rows. An error leaves nothing changed (RFC 7644 §3.5.2). That the result is
/// complete is [`validate::complete`]'s to say.
pub fn apply(
    document: &Map<String, Value>,
    operations: &[Operation],
    rtype: &'static ResourceType,
    tolerances: &mut Tolerances,
) -> Result<Applied, Error> {
    let mut patch = Patch { document: document.clone(), rtype, tolerances, rows: vec![], members: 0 };
    let (mut decided, mut named, mut unclear) = (false, false, None);
    for operation in operations {
        let (decides, is_named) = (operation.target.decides(rtype), operation.target.names_people(rtype));
        match patch.operation(operation).map_err(|error| in_operation(operation.index, error)) {
            Err(error) if is_named => patch.people(operation, error)?,
            Ok(()) if is_named => named = true,
            // What comes after it may yet say who is active, and holds then.
            Err(error) if decides => {
                patch.tolerances.bears(error.clone())?;
                unclear.get_or_insert(error);
            }
            Err(error) => patch.tolerances.spare(error, &operation.target.name())?,
            Ok(()) if decides => {
                decided = true;
                if let Some(error) = unclear.take() {
                    patch.tolerances.spare(error, ACTIVE)?;
                }
            }
            Ok(()) => {}
        }
    }
    if let Some(error) = unclear {
        // Whoever is not active by what is clear does not live on by what is not.
        match decided && patch.document.get(ACTIVE) != Some(&Value::Bool(true)) {
            true => patch.tolerances.spare(error, ACTIVE)?,
            false => return Err(error),
        }
    }
    let (after, rows, tolerances) = (validate::ordered(patch.document, rtype), patch.rows, patch.tolerances);
    let after = whole(document, after, rtype, tolerances)?;
    let leaves = decided && after.get(ACTIVE) != Some(&Value::Bool(true));
    tolerances.settle(leaves, named)?;
    Ok(Applied { document: after, rows, leaves, members: named })
}

/// The document after all operations. Where they leave it incomplete, and that may be set aside, only what
/// says who has access is changed.
fn whole(
    before: &Map<String, Value>,
    after: Map<String, Value>,
    rtype: &'static ResourceType,
    tolerances: &mut Tolerances,
) -> Result<Map<String, Value>, Error> {
    let Err(error) = validate::complete(&after, rtype) else { return Ok(after) };
    let mut safe = before.clone();
    let deciding = rtype.schema.attributes.iter().filter(|attribute| rtype.decides(attribute));
    for Attribute { name, .. } in deciding {
        match after.get(name) {
            Some(value) => safe.insert(name.clone(), value.clone()),
            None => safe.shift_remove(name),
        };
    }
    let safe = validate::ordered(safe, rtype);
    for path in differences(&safe, &after, rtype) {
        tolerances.spare(error.clone(), &path)?;
    }
    Ok(safe)
}

const ACTIVE: &str = "active";

struct Patch<'p> {
    document: Map<String, Value>,
    rtype: &'static ResourceType,
    tolerances: &'p mut Tolerances,
    rows: Vec<RowChange>,
    /// Members named so far, against the limit of a request.
    members: usize,
}

impl Patch<'_> {
    fn operation(&mut self, operation: &Operation) -> Result<(), Error> {
        let (attr, leaf) = match &operation.target {
            Target::Attribute(attr) => (*attr, attr.leaf()),
            Target::Elements { attr, sub, .. } => (*attr, sub.unwrap_or(attr.attribute)),
            Target::Extension(schema) => return self.drop_extension(schema),
        };
        if attr.extension.is_none() && attr.attribute.name == "schemas" {
            return self.schemas(operation);
        }
        if attr.attribute.is_made() || leaf.is_made() {
            // RFC 7644 §3.5.2: an error; but whole resources come back with their id and meta.
            if operation.pathless && self.tolerances.allow(Tolerance::ReadOnlyIgnored) {
                let value = operation.value.as_ref().unwrap_or(&Value::Null);
                return unknown::ignored(&attr.to_string(), value, self.tolerances);
            }
            return Err(Error::mutability(format!("{attr}: is read-only")));
        }
        let Some(within) = self.within_limit(leaf, operation)? else { return Ok(()) };
        let operation = within.as_ref().unwrap_or(operation);
        if let Some(rows) = self.rtype.rows
            && std::ptr::eq(rows, attr.attribute)
        {
            let change = rows::change(rows, operation, &mut self.members, self.tolerances)?;
            self.rows.extend(change);
            return Ok(());
        }
        if self.rtype.names_people(attr.attribute) && rows::takes_out(operation) {
            // Nothing in the place of an element takes it out.
            let removal = Operation { op: Op::Remove, value: None, ..operation.clone() };
            let removal = if operation.op == Op::Remove { operation } else { &removal };
            let gone = rows::change(attr.attribute, removal, &mut self.members, self.tolerances)?;
            return self.take_out(&attr, gone);
        }
        if taking::only_takes(operation, attr.attribute) {
            return self.take_elements(&attr, operation);
        }
        // It stays there until the change has succeeded.
        let old = attr.find(&self.document).cloned();
        let new = match (&operation.target, attr.attribute.multi_valued) {
            (Target::Elements { filter, written, sub, .. }, _) => {
                let choice = Choice { filter: Some((filter, written)), sub: *sub };
                elements::chosen(&attr, old, operation, &choice, self.tolerances)?
            }
            (_, true) if attr.sub.is_some() => {
                let choice = Choice { filter: None, sub: attr.sub };
                elements::chosen(&attr, old, operation, &choice, self.tolerances)?
            }
            (_, true) => elements::whole(&attr, old, operation, self.tolerances)?,
            (_, false) => single(&attr, old, operation, self.tolerances)?,
        };
        self.put(&attr, new);
        Ok(())
    }

    /// Takes elements away where they stand.
    fn take_elements(&mut self, attr: &AttrRef, operation: &Operation) -> Result<(), Error> {
        let holder = match attr.extension {
            None => Some(&mut self.document),
            Some(extension) => self.document.get_mut(&extension.id).and_then(Value::as_object_mut),
        };
        let list = holder.and_then(|holder| holder.get_mut(&attr.attribute.name)).and_then(Value::as_array_mut);
        if taking::take(attr, list, operation, self.tolerances)? {
            self.put(attr, None);
        }
        Ok(())
    }

    /// Takes people out of what stands in the document.
    fn take_out(&mut self, attr: &AttrRef, gone: Option<RowChange>) -> Result<(), Error> {
        let Some(Value::Array(old)) = attr.find(&self.document).cloned() else {
            return rows::left(attr.attribute, vec![], gone, self.tolerances).map(drop);
        };
        let left = rows::left(attr.attribute, old, gone, self.tolerances)?;
        self.put(attr, Some(left).filter(|left| !left.is_empty()).map(Value::Array));
        Ok(())
    }

    /// What is wrong with an operation that names people: whoever it lets in stays outside where the rest says who is in,
    /// and who may go by it does not stay, unless nobody is active by the rest.
    fn people(&mut self, operation: &Operation, error: Error) -> Result<(), Error> {
        let name = self.rtype.people().map_or("", |people| &people.name);
        match rows::is_beside(operation, self.rtype) {
            true => self.tolerances.spare(error, name),
            false if self.rtype.principal => self.tolerances.spare_doubtful(name, error),
            false => Err(error),
        }
    }

    /// Without the texts that are over the limit: the operation, if it is another one then, or nothing.
    fn within_limit(&mut self, leaf: &Attribute, operation: &Operation) -> Result<Option<Option<Operation>>, Error> {
        let at = operation.target.name();
        let Some(value) = &operation.value else { return Ok(Some(None)) };
        if validate::fits(value, self.tolerances.text_bytes_max()) {
            return Ok(Some(None));
        }
        let value = match validate::within_limit(leaf, value.clone(), &at, self.tolerances) {
            // What is required keeps the value that it has.
            Err(_) if !operation.target.names_people(self.rtype) && self.tolerances.allow(Tolerance::OverLimit) => {
                self.tolerances.drop_path(&at);
                return Ok(None);
            }
            value => value?,
        };
        Ok(value.map(|value| Some(Operation { value: Some(value), ..operation.clone() })))
    }

    fn put(&mut self, attr: &AttrRef, value: Option<Value>) {
        let holder = match attr.extension {
            None => Some(&mut self.document),
            Some(extension) => {
                self.document.entry(extension.id.as_str()).or_insert_with(|| Map::new().into()).as_object_mut()
            }
        };
        match (holder, value) {
            (Some(holder), Some(value)) => drop(holder.insert(attr.attribute.name.clone(), value)),
            (Some(holder), None) => drop(holder.remove(&attr.attribute.name)),
            (None, _) => {}
        }
    }

    fn drop_extension(&mut self, schema: &'static Schema) -> Result<(), Error> {
        let Some(Value::Object(container)) = self.document.get(&schema.id) else { return Ok(()) };
        for attribute in &schema.attributes {
            if let Some(old) = container.get(&attribute.name) {
                settled(attribute, Some(old), None, &format!("{}:{}", schema.id, attribute.name))?;
            }
        }
        self.document.remove(&schema.id);
        Ok(())
    }

    /// `schemas` follows from the values, so naming known schemas changes nothing.
    fn schemas(&mut self, operation: &Operation) -> Result<(), Error> {
        if operation.op == Op::Remove {
            return Err(Error::mutability("schemas: is required"));
        }
        let urns = match &operation.value {
            Some(Value::Array(urns)) => urns.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        for urn in urns {
            let Some(text) = urn.as_str() else { return Err(Error::value("schemas: expected URNs")) };
            if self.rtype.schema_by_urn(text).is_none() && !self.tolerances.allow(Tolerance::UnknownSchema) {
                return Err(Error::syntax(format!("schemas: {text} is no schema of {}", self.rtype.name)));
            }
        }
        Ok(())
    }
}

/// Changes an attribute that has one value.
fn single(
    attr: &AttrRef,
    old: Option<Value>,
    operation: &Operation,
    tolerances: &mut Tolerances,
) -> Result<Option<Value>, Error> {
    let attribute = attr.attribute;
    let at = attr.to_string();
    let value = match operation.op {
        Op::Remove => Value::Null,
        Op::Add | Op::Replace => operation.value.clone().unwrap_or_default(),
    };
    if let Some(sub) = attr.sub {
        let mut members = object(old);
        set_sub(&mut members, sub, value, &at, tolerances)?;
        return whole_or_nothing(attribute, members, &at);
    }
    if !attribute.is_complex() {
        let new = validate::value(attribute, value, &at, tolerances)?;
        return settled(attribute, old.as_ref(), new, &at);
    }
    match given_object(attribute, value, &at, tolerances)? {
        None => settled(attribute, old.as_ref(), None, &at),
        // Without any part it says what null says; adding nothing takes nothing away. So it does if all of its parts
        // are nothing, and unknown at that.
        Some(given) if operation.op == Op::Replace && is_void(attribute, &given) => {
            given.iter().try_for_each(|(key, value)| unknown::part(&at, key, value, tolerances))?;
            settled(attribute, old.as_ref(), None, &at)
        }
        Some(given) => {
            let mut members = object(old);
            merge(&mut members, attribute, given, &at, tolerances)?;
            whole_or_nothing(attribute, members, &at)
        }
    }
}

/// Whether nothing is given for any part that the attribute has, nor for one that it does not have.
fn is_void(attribute: &Attribute, given: &Map<String, Value>) -> bool {
    given.iter().all(|(key, value)| attribute.sub(key).is_none() && is_nothing(value))
}

fn whole_or_nothing(attribute: &Attribute, members: Map<String, Value>, at: &str) -> Result<Option<Value>, Error> {
    if members.is_empty() { settled(attribute, None, None, at) } else { Ok(Some(Value::Object(members))) }
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

/// Canonical paths of what differs.
fn differences(before: &Map<String, Value>, after: &Map<String, Value>, rtype: &'static ResourceType) -> Vec<String> {
    let base = COMMON.iter().filter(|a| a.name != "schemas").chain(&rtype.schema.attributes).map(|a| (None, a));
    let extended = rtype.extensions.iter().flat_map(|schema| schema.attributes.iter().map(|a| (Some(*schema), a)));
    let mut found = vec![];
    for (extension, attribute) in base.chain(extended) {
        let attr = AttrRef { extension, attribute, sub: None };
        let (old, new) = (attr.find(before), attr.find(after));
        if old == new {
            continue;
        }
        if attribute.multi_valued || !attribute.is_complex() {
            found.push(attr.to_string());
            continue;
        }
        let part = |value: Option<&Value>, sub: &Attribute| value.and_then(|value| value.get(&sub.name)).cloned();
        let subs = attribute.sub_attributes.iter().filter(|sub| part(old, sub) != part(new, sub));
        found.extend(subs.map(|sub| AttrRef { sub: Some(sub), ..attr }.to_string()));
    }
    found
}

#[cfg(test)]
#[path = "apply_test.rs"]
mod tests;
