//! The body of a PATCH: its envelope, its verbs, and path-less values taken apart.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::super::error::{Error, ScimType};
use super::super::path::{AttrRef, resolve};
use super::super::schema::{ResourceType, Schema};
use super::super::tolerance::{Tolerance, Tolerances};
use super::{Limits, Op, Operation, Target, in_operation};

/// The URN of a PATCH body.
pub const PATCH_URN: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Reads the body of a PATCH within the default limits.
pub fn parse(body: Value, rtype: &'static ResourceType, tolerances: &mut Tolerances) -> Result<Vec<Operation>, Error> {
    parse_within(body, &Limits::default(), rtype, tolerances)
}

/// Reads the body of a PATCH within given limits.
pub fn parse_within(
    body: Value,
    limits: &Limits,
    rtype: &'static ResourceType,
    tolerances: &mut Tolerances,
) -> Result<Vec<Operation>, Error> {
    let Value::Object(body) = body else { return Err(Error::syntax("patch: expected an object")) };
    let [schemas, operations] = members(body, ["schemas", "Operations"])?;
    check_schemas(schemas.as_ref(), tolerances)?;
    let Some(Value::Array(operations)) = operations else {
        return Err(Error::syntax("patch: Operations must be an array"));
    };
    let count = operations.len();
    if count == 0 {
        return Err(Error::syntax("patch: Operations must not be empty"));
    }
    if count > limits.operations_max {
        let detail = format!("patch: {count} operations; the limit is {}", limits.operations_max);
        return Err(Error::status(413, detail));
    }
    let mut found = Vec::with_capacity(count);
    for (index, operation) in operations.into_iter().enumerate() {
        let mut reader = Reader { index, rtype, tolerances: &mut *tolerances, found: &mut found };
        reader.operation(operation).map_err(|error| in_operation(index, error))?;
    }
    Ok(found)
}

fn check_schemas(schemas: Option<&Value>, tolerances: &mut Tolerances) -> Result<(), Error> {
    let is_patch = |urn: &Value| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(PATCH_URN));
    let listed = match schemas {
        Some(Value::Array(urns)) => urns.iter().any(is_patch),
        Some(urn) => is_patch(urn),
        None => false,
    };
    if listed || tolerances.allow(Tolerance::SchemasMissing) {
        return Ok(());
    }
    Err(Error::syntax(format!("patch: schemas must contain {PATCH_URN}")))
}

/// Takes members by name, in any letter case; others are left out.
fn members<const N: usize>(object: Map<String, Value>, names: [&str; N]) -> Result<[Option<Value>; N], Error> {
    let mut found = [const { None }; N];
    for (key, value) in object {
        let Some((slot, name)) = found.iter_mut().zip(names).find(|(_, name)| key.eq_ignore_ascii_case(name)) else {
            continue;
        };
        if slot.replace(value).is_some() {
            return Err(Error::syntax(format!("patch: {name} is there twice")));
        }
    }
    Ok(found)
}

struct Reader<'r> {
    index: usize,
    rtype: &'static ResourceType,
    tolerances: &'r mut Tolerances,
    found: &'r mut Vec<Operation>,
}

impl Reader<'_> {
    fn operation(&mut self, operation: Value) -> Result<(), Error> {
        let Value::Object(operation) = operation else { return Err(Error::syntax("expected an object")) };
        let [op, path, value] = members(operation, ["op", "path", "value"])?;
        let op = self.verb(op.as_ref())?;
        let path = match path {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) => Some(path),
            Some(_) => return Err(Error::path("path: expected a string")),
        };
        if op != Op::Remove && value.is_none() {
            return Err(Error::value(format!("value: is missing, and {} needs one", name(op))));
        }
        let Some(path) = path else { return self.pathless(op, value) };
        let target = Target::parse(&path, self.rtype, self.tolerances)?;
        match (target, op) {
            // An extension's value is taken apart like a path-less one.
            (Target::Extension(schema), Op::Add | Op::Replace) => {
                self.container(op, schema, value.unwrap_or_default(), &mut HashSet::new())
            }
            (target, _) => {
                self.found.push(Operation { index: self.index, op, target, value, pathless: false });
                Ok(())
            }
        }
    }

    fn verb(&mut self, op: Option<&Value>) -> Result<Op, Error> {
        let Some(Value::String(text)) = op else { return Err(Error::syntax("op: expected a string")) };
        let found = [Op::Add, Op::Remove, Op::Replace].into_iter().find(|op| name(*op).eq_ignore_ascii_case(text));
        found
            .filter(|op| text == name(*op) || self.tolerances.allow(Tolerance::OpCase))
            .ok_or_else(|| Error::syntax(format!("op: {text} is none of add, remove, replace")))
    }

    /// One operation for each member of the value (RFC 7644 §3.5.2.1, §3.5.2.3).
    fn pathless(&mut self, op: Op, value: Option<Value>) -> Result<(), Error> {
        if op == Op::Remove {
            // RFC 7644 §3.5.2.2: MUST fail.
            return Err(Error::new(ScimType::NoTarget, "path: is missing, and remove needs one"));
        }
        let Some(Value::Object(object)) = value else {
            return Err(Error::value("value: expected an object, because there is no path"));
        };
        let mut seen = HashSet::new();
        for (key, value) in object {
            if let Some(schema) = self.rtype.schema_by_urn(&key) {
                self.container(op, schema, value, &mut seen)?;
                continue;
            }
            let target = match self.rtype.attribute(&key) {
                Some(attribute) => Some(Target::Attribute(AttrRef { extension: None, attribute, sub: None })),
                None => self.path_key(&key)?,
            };
            self.member(op, target, value, &mut seen)?;
        }
        Ok(())
    }

    /// The attributes under the URN of a schema.
    fn container(
        &mut self,
        op: Op,
        schema: &'static Schema,
        value: Value,
        seen: &mut HashSet<String>,
    ) -> Result<(), Error> {
        let extension = self.rtype.extension(&schema.id);
        let object = match value {
            Value::Object(object) => object,
            Value::Null => return self.drop_extension(extension),
            Value::String(text) if text.is_empty() && self.tolerances.allow(Tolerance::EmptyText) => {
                return self.drop_extension(extension);
            }
            _ => return Err(Error::value(format!("{}: expected an object", schema.id))),
        };
        for (key, value) in object {
            let target = match schema.attribute(&key) {
                Some(attribute) => Some(Target::Attribute(AttrRef { extension, attribute, sub: None })),
                None => self.path_key(&format!("{}:{key}", schema.id))?,
            };
            self.member(op, target, value, seen)?;
        }
        Ok(())
    }

    fn drop_extension(&mut self, extension: Option<&'static Schema>) -> Result<(), Error> {
        if let Some(schema) = extension {
            let target = Target::Extension(schema);
            self.found.push(Operation { index: self.index, op: Op::Remove, target, value: None, pathless: true });
        }
        Ok(())
    }

    fn member(
        &mut self,
        op: Op,
        target: Option<Target>,
        value: Value,
        seen: &mut HashSet<String>,
    ) -> Result<(), Error> {
        let Some(target) = target else { return Ok(()) };
        // Keys that differ in letter case only name the same attribute: which one counts is anyone's guess.
        if let Target::Attribute(attr) = &target
            && !seen.insert(attr.to_string())
        {
            return Err(Error::syntax(format!("value: {attr} is there twice")));
        }
        self.found.push(Operation { index: self.index, op, target, value: Some(value), pathless: true });
        Ok(())
    }

    /// A key that is no plain name: a path, as Entra sends it, or unknown.
    fn path_key(&mut self, key: &str) -> Result<Option<Target>, Error> {
        let head = key.split_once('[').map_or(key, |(head, _)| head);
        if resolve(self.rtype, head.trim_end()).is_none() {
            return self.unknown(key).map(|()| None);
        }
        if !self.tolerances.allow(Tolerance::PathKeys) {
            return Err(Error::path(format!("value: {key} is a path, where a name is expected")));
        }
        Target::parse(key, self.rtype, self.tolerances).map(Some)
    }

    fn unknown(&mut self, key: &str) -> Result<(), Error> {
        let ours = |s: &Schema| key.get(..s.id.len()).is_some_and(|head| head.eq_ignore_ascii_case(&s.id));
        let known = ours(self.rtype.schema) || self.rtype.extensions.iter().any(|schema| ours(schema));
        let (tolerance, what) = if key.contains(':') && !known {
            (Tolerance::UnknownSchema, "schema")
        } else {
            (Tolerance::UnknownAttribute, "attribute")
        };
        if self.tolerances.allow(tolerance) {
            return Ok(());
        }
        Err(Error::syntax(format!("value: {} has no such {what}: {key}", self.rtype.name)))
    }
}

fn name(op: Op) -> &'static str {
    match op {
        Op::Add => "add",
        Op::Remove => "remove",
        Op::Replace => "replace",
    }
}

#[cfg(test)]
#[path = "envelope_test.rs"]
mod tests;
