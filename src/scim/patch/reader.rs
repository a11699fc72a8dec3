//! One operation of a PATCH: its verb, its path, and path-less values taken apart.
//!
//! What is malformed is set aside where the dialect bears it: beside a deactivation it is dropped and named, alone
//! it is refused. What names who has access is never set aside.

use std::collections::HashSet;

use serde_json::Value;

use super::super::attribute::Attribute;
use super::super::error::{Error, ScimType};
use super::super::leaving;
use super::super::path::{AttrRef, resolve};
use super::super::people::{Says, of_operation, says, tells};
use super::super::schema::{ResourceType, Schema};
use super::super::tolerance::{Tolerance, Tolerances};
use super::super::unknown;
use super::super::validate::is_one;
use super::parts::{is_one_object, is_void, members, said};
use super::verb::{Verb, is_clear};
use super::{Op, Operation, Target, in_operation};

pub(super) struct Reader<'r> {
    pub(super) index: usize,
    /// What an operation has beside its three members, and a path that is no text: nobody reads it, but it may say what is
    /// meant.
    pub(super) unread: Vec<Value>,
    pub(super) rtype: &'static ResourceType,
    pub(super) tolerances: &'r mut Tolerances,
    pub(super) found: &'r mut Vec<Operation>,
}

impl<'r> Reader<'r> {
    pub(super) fn new(
        index: usize,
        rtype: &'static ResourceType,
        tolerances: &'r mut Tolerances,
        found: &'r mut Vec<Operation>,
    ) -> Self {
        Reader { index, unread: vec![], rtype, tolerances, found }
    }

    pub(super) fn operation(&mut self, operation: Value) -> Result<(), Error> {
        let operation = match operation {
            Value::Object(operation) => operation,
            Value::Array(mut list) if is_one_object(&list) && self.tolerances.allow(Tolerance::ListOfOne) => {
                return self.operation(list.pop().unwrap_or_default());
            }
            other => return self.set_aside(Error::syntax("expected an object"), &other),
        };
        let ([op, path, value], others) = members(operation, ["op", "path", "value"], self.tolerances)?;
        let has_others = !others.is_empty();
        self.unread.push(Value::Object(others));
        let path = match path {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) if path.trim().is_empty() && self.tolerances.allow(Tolerance::EmptyPath) => None,
            Some(Value::String(path)) => Some(path),
            Some(Value::Array(mut list))
                if matches!(list.as_slice(), [Value::String(_)]) && self.tolerances.allow(Tolerance::ListOfOne) =>
            {
                list.pop().and_then(|path| path.as_str().map(str::to_owned))
            }
            Some(path) => {
                self.unread.push(path);
                let value = value.as_ref().unwrap_or(&Value::Null);
                let tells = tells(self.rtype, value, Says::Active) || tells(self.rtype, value, Says::People);
                if !tells || !self.tolerances.allow(Tolerance::EmptyPath) {
                    let error = Error::path("path: expected a string");
                    // A list may be of those who go.
                    let may_list =
                        self.rtype.people().is_some() && value.as_array().is_some_and(|list| !list.is_empty());
                    return if may_list { self.people("value", error) } else { self.set_aside(error, value) };
                }
                None
            }
        };
        let verb = Verb::read(op.as_ref(), self.tolerances);
        let path = path.filter(|path| !self.removes_from_itself(&verb, path, value.as_ref()));
        let start = self.found.len();
        let done = match &path {
            Some(path) => match self.bare_path(&verb, path, value.as_ref()) {
                Some(error) => self.doubt(path, error),
                None => self.with_path(&verb, path, value, has_others),
            },
            None => self.without_path(&verb, value),
        };
        match verb {
            Verb::Plain(_) => done,
            Verb::Doubtful { refusal, .. } if !self.tolerances.dialect().is_lenient() => Err(refusal),
            Verb::Doubtful { refusal, sets, leaves } => done.and_then(|()| {
                self.keep_what_is_clear(start, sets, refusal.clone(), path)?;
                // By itself it may say that somebody leaves, whatever stands beside it.
                match leaves && self.found.len() <= start {
                    true => {
                        let placed = in_operation(self.index, refusal.clone());
                        self.tolerances.spare_doubtful("op", placed).map_err(|_| refusal)
                    }
                    false => Ok(()),
                }
            }),
        }
    }

    /// Of an operation whose verb is not understood, what can mean one thing only.
    fn keep_what_is_clear(
        &mut self,
        start: usize,
        sets: bool,
        refusal: Error,
        path: Option<String>,
    ) -> Result<(), Error> {
        let read = self.found.split_off(start.min(self.found.len()));
        if read.is_empty() {
            return match path {
                Some(path) => self.spare(&path, Err(refusal)),
                None => self.set_aside(refusal, &Value::Null),
            };
        }
        for operation in read {
            if is_clear(&operation, sets, self.rtype, self.tolerances) && self.tolerances.allow(Tolerance::OtherOp) {
                self.found.push(operation);
            } else if operation.target.names_people(self.rtype) {
                self.people(&operation.target.name(), refusal.clone())?;
            } else if operation.target.decides(self.rtype) {
                self.doubt(&operation.target.name(), refusal.clone())?;
            } else {
                self.spare(&operation.target.name(), Err(refusal.clone()))?;
            }
        }
        Ok(())
    }

    /// Whether something is to be removed whose path is the schema's own name, which is none.
    fn removes_from_itself(&mut self, verb: &Verb, path: &str, value: Option<&Value>) -> bool {
        matches!(verb.op_with(value), Ok(Op::Remove))
            && self.rtype.schema.id.eq_ignore_ascii_case(path.trim())
            && self.tolerances.allow(Tolerance::EmptyPath)
    }

    fn with_path(&mut self, verb: &Verb, path: &str, value: Option<Value>, has_others: bool) -> Result<(), Error> {
        let start = self.found.len();
        let done = self.at_path(verb, path, value);
        let done = done.and_then(|()| if has_others { self.all_is_meant(start) } else { Ok(()) });
        // Whoever comes in by a path that nobody understands is beside who goes.
        match (done, verb) {
            (Err(error), Verb::Plain(Op::Add)) if says(self.rtype, path) != Some(Says::Active) => {
                self.set_by(path, error)
            }
            (done, _) => self.spare(path, done),
        }
    }

    fn at_path(&mut self, verb: &Verb, path: &str, value: Option<Value>) -> Result<(), Error> {
        let op = verb.op_with(value.as_ref())?;
        let is_password = path.eq_ignore_ascii_case("password") && resolve(self.rtype, path).is_none();
        if is_password && self.tolerances.allow(Tolerance::Password) {
            self.tolerances.drop_path(path);
            return unknown::unread(path, value.as_ref().unwrap_or(&Value::Null), self.tolerances);
        }
        let schema = self.rtype.schema;
        if schema.id.eq_ignore_ascii_case(path.trim()) && self.tolerances.allow(Tolerance::EmptyPath) {
            return self.container(op, schema, value.unwrap_or_default(), &mut HashSet::new());
        }
        let said = said(op, path, value.as_ref());
        let Some(target) = Target::parse(path, said, self.rtype, self.tolerances)? else { return Ok(()) };
        match (target, op) {
            // An extension's value is taken apart like a path-less one.
            (Target::Extension(schema), Op::Add | Op::Replace) => {
                self.container(op, schema, value.unwrap_or_default(), &mut HashSet::new())
            }
            (target, _) => self.push(Operation { index: self.index, op, target, value, pathless: false }),
        }
    }

    /// Takes an operation. The value of one that removes is read only where it names elements.
    fn push(&mut self, operation: Operation) -> Result<(), Error> {
        if let (Op::Remove, Some(value)) = (operation.op, &operation.value) {
            let at = operation.target.name();
            if !leaving::names_active(&at) {
                unknown::unread(&at, value, self.tolerances)?;
            }
        }
        self.found.push(operation);
        Ok(())
    }

    /// One operation for each member of the value (RFC 7644 §3.5.2.1, §3.5.2.3).
    fn without_path(&mut self, verb: &Verb, value: Option<Value>) -> Result<(), Error> {
        let op = match verb.op_with(value.as_ref()) {
            Ok(Op::Remove) if !self.names_members(value.as_ref()) => {
                // RFC 7644 §3.5.2.2: MUST fail. Whatever it was to remove, nobody is active by that.
                let error = Error::new(ScimType::NoTarget, "path: is missing, and remove needs one");
                // Of a group it may be a member, whom leaving it out would keep inside.
                let value = value.unwrap_or_default();
                let may_name = match &value {
                    // Of whoever may be active itself, it may be that.
                    Value::Null => self.rtype.principal,
                    Value::Object(members) if members.is_empty() => self.rtype.principal,
                    Value::Object(_) => tells(self.rtype, &value, Says::People),
                    _ => true,
                };
                if self.rtype.people().is_some() && may_name {
                    return self.people("value", error);
                }
                return self.set_aside(error, &value);
            }
            Ok(op) => op,
            Err(error) => return self.set_aside(error, &value.unwrap_or_default()),
        };
        let object = match value {
            Some(Value::Object(object)) => object,
            Some(Value::Array(mut list)) if is_one_object(&list) && self.tolerances.allow(Tolerance::ListOfOne) => {
                return self.without_path(verb, list.pop());
            }
            other => {
                let error = Error::value("value: expected an object, because there is no path");
                return self.set_aside(error, &other.unwrap_or_default());
            }
        };
        if of_operation(self.rtype, &object).is_some() || leaving::by_name(&object).is_some() {
            let error = Error::value("value: is an operation itself, and names who has access");
            return if self.rtype.principal { self.tolerances.spare_doubtful("value", error) } else { Err(error) };
        }
        let mut seen = HashSet::new();
        for (key, value) in object {
            if let Some(schema) = self.rtype.schema_by_urn(&key) {
                self.container(op, schema, value, &mut seen)?;
                continue;
            }
            let attribute = self.rtype.attribute(&key).map(|attribute| (None, attribute));
            if attribute.is_none() && self.may_decide(op, &key, &value)? {
                continue;
            }
            let done = self.member(op, attribute, &key, value, &mut seen);
            self.spare(&key, done)?;
        }
        Ok(())
    }

    /// Whether it is clear what a removal without a path is about: the members that its value names.
    fn names_members(&mut self, value: Option<&Value>) -> bool {
        let names = |key: &str| self.rtype.attribute(key).is_some_and(|one| self.rtype.names_people(one));
        let members = value.and_then(Value::as_object).into_iter().flatten();
        let is_clear = members.filter(|(_, value)| !value.is_null()).any(|(key, _)| names(key));
        is_clear && self.tolerances.allow(Tolerance::PathlessRemove)
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
            Value::Object(object) if op == Op::Replace && is_void(schema, &object) => {
                for (key, value) in &object {
                    self.path_key(&format!("{}:{key}", schema.id), value)?;
                }
                return self.drop_extension(extension);
            }
            Value::Object(object) => object,
            Value::Null => return self.drop_extension(extension),
            Value::Array(list) if list.is_empty() => return self.drop_extension(extension),
            Value::String(text) if text.is_empty() && self.tolerances.allow(Tolerance::EmptyText) => {
                return self.drop_extension(extension);
            }
            Value::Array(mut list) if is_one(&list) && self.tolerances.allow(Tolerance::ComplexBare) => {
                return self.container(op, schema, list.pop().unwrap_or_default(), seen);
            }
            other => {
                let error = Error::value(format!("{}: expected an object", schema.id));
                return match self.heard(&error, &schema.id, &other) {
                    Some(done) => done,
                    None => self.set_by(&schema.id, error),
                };
            }
        };
        for (key, value) in object {
            let (attribute, path) = (schema.attribute(&key), format!("{}:{key}", schema.id));
            if attribute.is_none() && self.may_decide(op, &key, &value)? {
                continue;
            }
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
            None => self.path_key(path, said(op, path, Some(&value)).unwrap_or(&value))?,
        };
        let Some(target) = target else { return Ok(()) };
        // Keys that name the same attribute: which one counts is anyone's guess.
        if let Target::Attribute(attr) = &target
            && !seen.insert(attr.to_string())
        {
            let twice = Error::syntax(format!("value: {attr} is there twice"));
            return if self.add_to_earlier(&target, value) { Ok(()) } else { Err(twice) };
        }
        self.push(Operation { index: self.index, op, target, value: Some(value), pathless: true })
    }

    /// Makes another value of `active` one of several, where the dialect bears it: reading them decides.
    fn add_to_earlier(&mut self, target: &Target, value: Value) -> bool {
        let bears = self.rtype.principal && self.tolerances.dialect().is_lenient() && target.decides(self.rtype);
        let earlier = self.found.iter_mut().rfind(|one| one.index == self.index && one.target == *target);
        let Some(earlier) = earlier.filter(|_| bears) else { return false };
        earlier.value = Some(Value::Array(vec![earlier.value.take().unwrap_or_default(), value]));
        true
    }

    /// A key that is no plain name: a path, as Entra sends it, or unknown.
    fn path_key(&mut self, key: &str, value: &Value) -> Result<Option<Target>, Error> {
        let head = key.split_once('[').map_or(key, |(head, _)| head);
        if resolve(self.rtype, head.trim_end()).is_none() {
            let rtype = self.rtype;
            if says(rtype, key) == Some(Says::People) && self.tolerances.dialect().is_lenient() {
                let detail = format!("value: {} has no such attribute: {key}", rtype.name);
                return Err(Error::path(detail).naming(key));
            }
            let refusal = |what: &str| Error::syntax(format!("value: {} has no such {what}: {key}", rtype.name));
            return unknown::member(rtype, key, value, self.tolerances, refusal).map(|()| None);
        }
        if !self.tolerances.allow(Tolerance::PathKeys) {
            return Err(Error::path(format!("value: {key} is a path, where a name is expected")));
        }
        Target::parse(key, Some(value), self.rtype, self.tolerances)
    }
}
