//! The body of a PATCH: its envelope, its verbs, and path-less values taken apart.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::super::attribute::Attribute;
use super::super::error::{Error, ScimType};
use super::super::leaving;
use super::super::path::{AttrRef, resolve};
use super::super::schema::{ResourceType, Schema};
use super::super::tolerance::{Tolerance, Tolerances};
use super::super::unknown;
use super::target::decides;
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
    let operations = match operations {
        Some(Value::Array(operations)) => operations,
        // RFC 7643 §2.5: null is what an empty array is.
        Some(Value::Null) => vec![],
        _ => return Err(Error::syntax("patch: Operations must be an array")),
    };
    let count = operations.len();
    if count == 0 && !tolerances.allow(Tolerance::NoOperations) {
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
    // Otherwise the state that it leads to decides: see `apply`.
    if !found.iter().any(|operation| operation.target.decides(rtype)) {
        tolerances.settle(false, false)?;
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

/// Takes members by name, in any letter case; others are left out, unless they say that somebody leaves.
fn members<const N: usize>(object: Map<String, Value>, names: [&str; N]) -> Result<[Option<Value>; N], Error> {
    let mut found = [const { None }; N];
    for (key, value) in object {
        let Some((slot, name)) = found.iter_mut().zip(names).find(|(_, name)| key.eq_ignore_ascii_case(name)) else {
            if let Some(path) = leaving::found(&key, &value) {
                return Err(Error::syntax(format!("patch: {path} is no part of it, and says that somebody leaves")));
            }
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
        let path = match path {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) if path.is_empty() && self.tolerances.allow(Tolerance::EmptyPath) => None,
            Some(Value::String(path)) => Some(path),
            Some(_) => return Err(Error::path("path: expected a string")),
        };
        match path {
            Some(path) => {
                let done = self.at_path(op.as_ref(), &path, value);
                self.spare(&path, done)
            }
            None => {
                let op = self.verb(op.as_ref(), value.as_ref())?;
                self.pathless(op, value)
            }
        }
    }

    /// Sets a failure aside, unless it is about what says who has access.
    fn spare(&mut self, path: &str, done: Result<(), Error>) -> Result<(), Error> {
        match done {
            Err(error) if !decides(self.rtype, path) => {
                let placed = in_operation(self.index, error.clone());
                self.tolerances.spare(placed, path).map_err(|_| error)
            }
            done => done,
        }
    }

    fn at_path(&mut self, op: Option<&Value>, path: &str, value: Option<Value>) -> Result<(), Error> {
        let op = self.verb(op, value.as_ref())?;
        let is_password = path.eq_ignore_ascii_case("password") && resolve(self.rtype, path).is_none();
        if is_password && self.tolerances.allow(Tolerance::Password) {
            self.tolerances.drop_path(path);
            return Ok(());
        }
        let Some(target) = Target::parse(path, value.as_ref(), self.rtype, self.tolerances)? else { return Ok(()) };
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

    fn verb(&mut self, op: Option<&Value>, value: Option<&Value>) -> Result<Op, Error> {
        let Some(Value::String(text)) = op else { return Err(Error::syntax("op: expected a string")) };
        let found = [Op::Add, Op::Remove, Op::Replace].into_iter().find(|op| name(*op).eq_ignore_ascii_case(text));
        let op = found
            .filter(|op| text == name(*op) || self.tolerances.allow(Tolerance::OpCase))
            .ok_or_else(|| Error::syntax(format!("op: {text} is none of add, remove, replace")))?;
        if op != Op::Remove && value.is_none() {
            return Err(Error::value(format!("value: is missing, and {} needs one", name(op))));
        }
        Ok(op)
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
            let attribute = self.rtype.attribute(&key).map(|attribute| (None, attribute));
            let done = self.member(op, attribute, &key, value, &mut seen);
            self.spare(&key, done)?;
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
            // Adding nothing takes nothing away.
            Value::Object(object) if object.is_empty() && op == Op::Replace => return self.drop_extension(extension),
            Value::Object(object) => object,
            Value::Null => return self.drop_extension(extension),
            Value::Array(list) if list.is_empty() => return self.drop_extension(extension),
            Value::String(text) if text.is_empty() && self.tolerances.allow(Tolerance::EmptyText) => {
                return self.drop_extension(extension);
            }
            _ => return self.spare(&schema.id, Err(Error::value(format!("{}: expected an object", schema.id)))),
        };
        for (key, value) in object {
            let (attribute, path) = (schema.attribute(&key), format!("{}:{key}", schema.id));
            let done = self.member(op, attribute.map(|attribute| (extension, attribute)), &path, value, seen);
            self.spare(&path, done)?;
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

    /// One member of a path-less value: an attribute by its name, or a path.
    fn member(
        &mut self,
        op: Op,
        attribute: Option<(Option<&'static Schema>, &'static Attribute)>,
        path: &str,
        value: Value,
        seen: &mut HashSet<String>,
    ) -> Result<(), Error> {
        let target = match attribute {
            Some((extension, attribute)) => Some(Target::Attribute(AttrRef { extension, attribute, sub: None })),
            None => self.path_key(path, &value)?,
        };
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
    fn path_key(&mut self, key: &str, value: &Value) -> Result<Option<Target>, Error> {
        let head = key.split_once('[').map_or(key, |(head, _)| head);
        if resolve(self.rtype, head.trim_end()).is_none() {
            let rtype = self.rtype;
            let refusal = |what: &str| Error::syntax(format!("value: {} has no such {what}: {key}", rtype.name));
            return unknown::member(rtype, key, value, self.tolerances, refusal).map(|()| None);
        }
        if !self.tolerances.allow(Tolerance::PathKeys) {
            return Err(Error::path(format!("value: {key} is a path, where a name is expected")));
        }
        Target::parse(key, Some(value), self.rtype, self.tolerances)
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
