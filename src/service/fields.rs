//! Members of request bodies, read strictly: what nobody looks at is refused, and each refusal points at
//! the member.

use serde_json::{Map, Value};

use crate::service::Error;

/// How long a text for people may be, in letters.
const TEXT_MAX: usize = 1_000;

/// An object of a body, and where it stands.
pub(in crate::service) struct Fields<'b> {
    members: &'b Map<String, Value>,
    pointer: String,
}

impl<'b> Fields<'b> {
    /// Reads an object that may have these members and no others.
    pub(in crate::service) fn of(value: &'b Value, pointer: &str, known: &[&str]) -> Result<Fields<'b>, Error> {
        let members = value.as_object().ok_or_else(|| Error::invalid(pointer, "expected an object"))?;
        if let Some(unknown) = members.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(Error::invalid(format!("{pointer}/{unknown}"), format!("{unknown}: no such member")));
        }
        Ok(Fields { members, pointer: pointer.to_owned() })
    }

    /// Where a member stands.
    pub(in crate::service) fn pointer(&self, name: &str) -> String {
        format!("{}/{name}", self.pointer)
    }

    /// A refusal of a member.
    pub(in crate::service) fn refuse(&self, name: &str, detail: impl std::fmt::Display) -> Error {
        Error::invalid(self.pointer(name), format!("{name}: {detail}"))
    }

    /// A member that is not null.
    pub(in crate::service) fn get(&self, name: &str) -> Option<&'b Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// A text, if it is there.
    pub(in crate::service) fn text(&self, name: &str) -> Result<Option<&'b str>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.chars().count() <= TEXT_MAX => Ok(Some(text)),
            Some(_) => Err(self.refuse(name, format!("expected a text of at most {TEXT_MAX} letters"))),
        }
    }

    /// A text that must be there.
    pub(in crate::service) fn required(&self, name: &str) -> Result<&'b str, Error> {
        match self.text(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(self.refuse(name, "is required")),
        }
    }

    /// A list of at most so many; empty if it is not there.
    pub(in crate::service) fn list(&self, name: &str, max: usize) -> Result<&'b [Value], Error> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) if items.len() <= max => Ok(items),
            Some(Value::Array(_)) => Err(self.refuse(name, format!("at most {max}"))),
            Some(_) => Err(self.refuse(name, "expected a list")),
        }
    }

    /// A list of texts.
    pub(in crate::service) fn texts(&self, name: &str, max: usize) -> Result<Vec<&'b str>, Error> {
        let items = self.list(name, max)?.iter().enumerate();
        let text = |(n, item): (usize, &'b Value)| {
            item.as_str().ok_or_else(|| Error::invalid(format!("{}/{n}", self.pointer(name)), "expected a text"))
        };
        items.map(text).collect()
    }
}
