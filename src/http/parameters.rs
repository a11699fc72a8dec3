//! The query parameters of operations outside SCIM, as one table: what a request is held to, what its readers
//! read, and what the description of the API says of them.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::extract::Head;
use crate::domain::Operation;
use crate::domain::class::Class;
use crate::domain::credential::Status;
use crate::service::Error;
use crate::service::log::feed::{PAGE_MAX, START};

/// A query parameter.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// What it is for, in a sentence.
    pub(super) summary: &'static str,
    /// A value that makes sense together with the other examples of the API.
    example: Option<&'static str>,
    values: Values,
}

/// What a parameter may be.
enum Values {
    /// Any text.
    Text,
    /// A text that names one of these.
    OneOf(fn() -> Vec<String>),
    /// A text in one of these formats.
    Formats(&'static [&'static str]),
    /// A whole number.
    Number { min: i64, max: Option<i64> },
    /// Kinds of change; several, with commas between them or one by one, are either of them.
    Kinds,
}

impl Parameter {
    /// Its value in a request.
    pub(super) fn text<'h>(&self, head: &'h Head) -> Option<&'h str> {
        head.parameter(self.name)
    }

    /// Every value that it has in a request.
    pub(super) fn texts<'h>(&self, head: &'h Head) -> impl Iterator<Item = &'h str> {
        let name = self.name;
        head.query.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Its value, which must be one of those that are listed.
    ///
    /// # Errors
    /// 400 for another one.
    pub(super) fn word<'h>(&self, head: &'h Head) -> Result<Option<&'h str>, Error> {
        let Values::OneOf(words) = self.values else { return Ok(self.text(head)) };
        match self.text(head) {
            Some(text) if !words().iter().any(|word| word == text) => {
                Err(Error::Malformed(format!("{}: expected {}", self.name, words().join(" or "))))
            }
            found => Ok(found),
        }
    }

    /// Its value, which must be a number within its limits.
    ///
    /// # Errors
    /// 400 for another one.
    pub(super) fn number<T: TryFrom<i64>>(&self, head: &Head) -> Result<Option<T>, Error> {
        let refused = |expected: String| Error::Malformed(format!("{}: expected {expected}", self.name));
        let Some(text) = self.text(head) else { return Ok(None) };
        let number = text.parse::<i64>().map_err(|_| refused("a number".to_owned()))?;
        if let Values::Number { min, max } = self.values
            && (number < min || max.is_some_and(|max| number > max))
        {
            return Err(refused(max.map_or(format!("{min} or more"), |max| format!("{min} to {max}"))));
        }
        T::try_from(number).map(Some).map_err(|_| refused("a number".to_owned()))
    }

    /// Its example, as the schema has it.
    pub(super) fn example(&self) -> Option<Value> {
        let text = self.example?;
        Some(match self.values {
            Values::Number { .. } => text.parse::<i64>().map_or(Value::Null, Value::from),
            Values::Kinds => json!([text]),
            _ => text.into(),
        })
    }

    /// Its values as a JSON Schema.
    pub(super) fn schema(&self) -> Value {
        match self.values {
            Values::Text => json!({"type": "string"}),
            Values::OneOf(words) => json!({"type": "string", "enum": words()}),
            Values::Formats(formats) => {
                let formats: Vec<Value> = formats.iter().map(|format| json!({"format": format})).collect();
                json!({"type": "string", "anyOf": formats})
            }
            Values::Number { min, max: Some(max) } => json!({"type": "integer", "minimum": min, "maximum": max}),
            Values::Number { min, max: None } => json!({"type": "integer", "minimum": min}),
            Values::Kinds => {
                let pattern = r"^[a-z0-9_]+\.(\*|[a-z0-9_]+(\.[a-z0-9_]+)*)$";
                json!({"type": "array", "items": {"type": "string", "pattern": pattern}})
            }
        }
    }
}

/// How many seconds a long-poll waits when it does not say, and at most: proxies give up after 30.
pub(super) const WAIT_SECONDS: i64 = 25;

pub(super) const COUNT: Parameter = Parameter {
    name: "count",
    summary: "How many items the page has at most; the server may send fewer.",
    example: Some("100"),
    values: Values::Number { min: 1, max: None },
};
pub(super) const CURSOR: Parameter = Parameter {
    name: "cursor",
    summary: "Where the list goes on: `next` of the page before.",
    example: None,
    values: Values::Text,
};
pub(super) const OWNER: Parameter = Parameter {
    name: "owner",
    summary: "Keys of this owner alone: an id, a userName, the name of an agent or of a connection, or `operator`.",
    example: Some("mira@example.com"),
    values: Values::Text,
};
pub(super) const CLASS: Parameter = Parameter {
    name: "class",
    summary: "Keys of this class alone: `u` of users, `s` of agents, `p` of identity providers' connections.",
    example: Some("u"),
    values: Values::OneOf(|| Class::ALL.iter().map(|class| class.letter().to_string()).collect()),
};
pub(super) const STATUS: Parameter = Parameter {
    name: "status",
    summary: "Keys alone that have this status.",
    example: Some("active"),
    values: Values::OneOf(|| Status::ALL.iter().map(|status| status.name().to_owned()).collect()),
};
pub(super) const EXPIRES_BEFORE: Parameter = Parameter {
    name: "expires_before",
    summary: "Keys alone that end before this: a date, a time, or a duration from now.",
    example: Some("P365D"),
    values: Values::Formats(&["date", "date-time", "duration"]),
};
pub(super) const AT: Parameter = Parameter {
    name: "at",
    summary: "Answers for this moment instead of now: a time, or a date, which is the end of that day in UTC.",
    example: Some("2026-01-31"),
    values: Values::Formats(&["date", "date-time"]),
};
pub(super) const FORM: Parameter = Parameter {
    name: "form",
    summary: "`signed` asks for a compact JWS of the same, for services that decide offline.",
    example: None,
    values: Values::OneOf(|| vec!["signed".to_owned()]),
};
pub(super) const DRY_RUN: Parameter = Parameter {
    name: "dry_run",
    summary: "`true` removes nothing and tells who would lose what.",
    example: Some("true"),
    values: Values::OneOf(|| vec!["true".to_owned(), "false".to_owned()]),
};
pub(super) const AFTER: Parameter = Parameter {
    name: "after",
    summary: "The number of the last change that was seen; from the beginning without it.",
    example: Some("3"),
    values: Values::Number { min: START, max: None },
};
pub(super) const KIND: Parameter = Parameter {
    name: "kind",
    summary: "Changes of these kinds alone, such as `user.created` or `group.*`; several are either of them.",
    example: Some("user.*"),
    values: Values::Kinds,
};
pub(super) const COUNT_OF_CHANGES: Parameter = Parameter {
    name: "count",
    summary: "How many records of the log are looked at, at most.",
    example: Some("100"),
    values: Values::Number { min: 1, max: Some(PAGE_MAX) },
};
pub(super) const WAIT: Parameter = Parameter {
    name: "wait",
    summary: "How many seconds to wait for a change if there is none yet.",
    example: Some("0"),
    values: Values::Number { min: 0, max: Some(WAIT_SECONDS) },
};
pub(super) const FOR: Parameter = Parameter {
    name: "for",
    summary: "`reads` asks for no more than verification needs.",
    example: Some("reads"),
    values: Values::OneOf(|| vec!["reads".to_owned()]),
};

/// The parameters that an operation looks at.
pub(super) fn of(operation: Operation) -> &'static [Parameter] {
    match operation {
        Operation::KeyList => &[OWNER, CLASS, STATUS, EXPIRES_BEFORE, COUNT, CURSOR],
        Operation::UserList | Operation::AgentList => &[COUNT, CURSOR],
        Operation::RoleHolders => &[AT, COUNT, CURSOR],
        Operation::UserAccess | Operation::AgentAccess => &[AT],
        Operation::MappingList => &[FORM],
        Operation::MappingDelete => &[DRY_RUN, COUNT, CURSOR],
        Operation::Changes => &[AFTER, KIND, COUNT_OF_CHANGES, WAIT],
        Operation::Ready => &[FOR],
        _ => &[],
    }
}

/// Refuses parameters that nobody looks at, and one that is there twice: a misspelt `at` would answer for the
/// present, a misspelt `kind` with everything.
///
/// # Errors
/// 400, naming the parameter.
pub(super) fn check(operation: Operation, head: &Head) -> Result<(), Error> {
    let mut seen = HashSet::new();
    for (name, _) in &head.query {
        let Some(known) = of(operation).iter().find(|known| known.name == name) else {
            return Err(Error::Malformed(format!("{name}: no parameter of this")));
        };
        if !seen.insert(name) && !matches!(known.values, Values::Kinds) {
            return Err(Error::Malformed(format!("{name}: is there twice")));
        }
    }
    Ok(())
}

/// A page of a list: how many items it may have at most, and where the list goes on. An empty cursor begins it, as
/// in SCIM (RFC 9865 §2).
///
/// # Errors
/// 400 for a count that is none.
pub(super) fn page(head: &Head) -> Result<(Option<usize>, Option<&str>), Error> {
    Ok((COUNT.number(head)?, CURSOR.text(head).filter(|cursor| !cursor.is_empty())))
}
