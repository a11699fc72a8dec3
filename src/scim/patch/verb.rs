//! What an operation does: its `op`, also where it is not written as the RFC has it.

use serde_json::Value;

use super::super::error::Error;
use super::super::leaving;
use super::super::schema::ResourceType;
use super::super::tolerance::{Tolerance, Tolerances};
use super::super::validate;
use super::{Op, Operation, Target};

/// Words for setting a value: whether that is to add or to replace makes no difference to a single value.
const SETS: [&str; 7] = ["", "update", "set", "modify", "change", "put", "patch"];
const REMOVES: &str = "delete";

/// What `op` says.
pub(super) enum Verb {
    /// One of the three.
    Plain(Op),
    /// None of them. It is read as `replace`, and kept as far as that is the only thing that can be meant.
    Doubtful {
        /// What is said where it is not.
        refusal: Error,
        /// Whether it is missing, or a word for setting.
        sets: bool,
        /// Whether it says that somebody leaves.
        leaves: bool,
    },
}

impl Verb {
    pub(super) fn read(op: Option<&Value>, tolerances: &mut Tolerances) -> Verb {
        let text = match op {
            Some(Value::String(text)) => text,
            other => {
                let sets = matches!(other, None | Some(Value::Null));
                return Verb::Doubtful { refusal: Error::syntax("op: expected a string"), sets, leaves: false };
            }
        };
        let word = text.trim();
        let found = [Op::Add, Op::Remove, Op::Replace].into_iter().find(|op| name(*op).eq_ignore_ascii_case(word));
        if let Some(op) = found.filter(|op| text == name(*op) || tolerances.allow(Tolerance::OpCase)) {
            return Verb::Plain(op);
        }
        if word.eq_ignore_ascii_case(REMOVES) && tolerances.allow(Tolerance::OtherOp) {
            return Verb::Plain(Op::Remove);
        }
        let refusal = Error::syntax(format!("op: {text} is none of add, remove, replace"));
        let sets = SETS.iter().any(|own| own.eq_ignore_ascii_case(word));
        Verb::Doubtful { refusal, sets, leaves: leaving::is_verb(word) }
    }

    /// The operation that it is with this value.
    pub(super) fn op_with(&self, value: Option<&Value>) -> Result<Op, Error> {
        match self {
            Verb::Plain(op) if *op != Op::Remove && value.is_none() => {
                Err(Error::value(format!("value: is missing, and {} needs one", name(*op))))
            }
            Verb::Plain(op) => Ok(*op),
            Verb::Doubtful { refusal, .. } if value.is_none() => Err(refusal.clone()),
            Verb::Doubtful { .. } => Ok(Op::Replace),
        }
    }
}

/// Whether an operation that was read as `replace` can mean one thing only: one value is set, or somebody is not
/// active, which adding, replacing and removing all come to.
pub(super) fn is_clear(
    operation: &Operation,
    sets: bool,
    rtype: &'static ResourceType,
    tolerances: &Tolerances,
) -> bool {
    let Target::Attribute(attr) = &operation.target else { return false };
    if operation.op != Op::Replace {
        return false;
    }
    if sets && !attr.attribute.multi_valued {
        return true;
    }
    let value = operation.value.clone().unwrap_or_default();
    let read = || validate::value(attr.attribute, value, "", &mut tolerances.fresh());
    let is_active = operation.target.decides(rtype) && !operation.target.names_people(rtype);
    is_active && read().is_ok_and(|read| read != Some(Value::Bool(true)))
}

pub(super) fn name(op: Op) -> &'static str {
    match op {
        Op::Add => "add",
        Op::Remove => "remove",
        Op::Replace => "replace",
    }
}
