//! What becomes of an operation, or of a part of one, that cannot be read: it is set aside where it is beside the point,
//! and doubtful where it may say that somebody leaves, or goes.

use serde_json::Value;

use super::super::error::Error;
use super::super::leaving;
use super::super::people::{Says, says, speaks_anywhere, tells};
use super::reader::Reader;
use super::verb::Verb;
use super::{Op, Operation, Target, in_operation};

impl Reader<'_> {
    /// Where something stands beside the path of a removal that would leave nobody, it may say who is meant.
    pub(super) fn all_is_meant(&mut self, start: usize) -> Result<(), Error> {
        let rtype = self.rtype;
        let takes_all = |one: &Operation| {
            let is_whole = matches!(one.target, Target::Attribute(_)) && one.target.names_people(rtype);
            is_whole && one.op == Op::Remove && one.value.as_ref().is_none_or(Value::is_null)
        };
        let Some(at) = self.found.iter().skip(start).position(takes_all) else { return Ok(()) };
        if !self.tolerances.dialect().is_lenient() {
            return Ok(());
        }
        let name = self.found.remove(start + at).target.name();
        let detail = format!("{name}: value is missing, and something else stands there that may say who is to go");
        Err(Error::value(detail))
    }

    /// Sets a failure aside; what is about who has access, only where nobody is active by the rest.
    pub(super) fn spare(&mut self, path: &str, done: Result<(), Error>) -> Result<(), Error> {
        match (done, says(self.rtype, path)) {
            (Err(error), None) => self.set_by(path, error),
            (Err(error), Some(Says::People)) => self.people(path, error),
            // Where nobody is active by the rest, that holds.
            (Err(error), Some(Says::Active)) => self.doubt(path, error),
            (done, _) => done,
        }
    }

    /// What may take somebody out of what names people: it is set aside where nobody is active by the rest, and only
    /// there.
    pub(super) fn people(&mut self, path: &str, error: Error) -> Result<(), Error> {
        self.doubt(path, error)
    }

    /// What may say that somebody leaves, or goes: it is set aside where nobody is active by the rest, and only there.
    pub(super) fn doubt(&mut self, path: &str, error: Error) -> Result<(), Error> {
        if !self.rtype.principal {
            return Err(error);
        }
        let placed = in_operation(self.index, error.clone());
        self.tolerances.spare_doubtful(path, placed).map_err(|_| error)
    }

    pub(super) fn set_by(&mut self, path: &str, error: Error) -> Result<(), Error> {
        let placed = in_operation(self.index, error.clone());
        self.tolerances.spare(placed, path).map_err(|_| error)
    }

    /// What becomes of a failure whose value says who has access; `None` if it does not.
    pub(super) fn heard(&mut self, error: &Error, path: &str, value: &Value) -> Option<Result<(), Error>> {
        let rtype = self.rtype;
        let is_told = [Says::Active, Says::People].into_iter().any(|said| tells(rtype, value, said));
        let is_meant = || {
            let mut all = self.unread.iter().chain([value]);
            all.any(|one| rtype.principal && leaving::may_say(one) || speaks_anywhere(rtype, one))
        };
        (is_told || is_meant()).then(|| self.doubt(path, error.clone()))
    }

    /// Sets a whole operation aside, unless its value says who has access.
    pub(super) fn set_aside(&mut self, error: Error, value: &Value) -> Result<(), Error> {
        if let Some(done) = self.heard(&error, "value", value) {
            return done;
        }
        let placed = in_operation(self.index, error.clone());
        self.tolerances.spare_operation(placed, self.index).map_err(|_| error)
    }

    /// Whether what stands under a name that the type does not have may say who is active or who is in it: then it is
    /// doubtful. What the schema of somebody else calls members are not ours.
    pub(super) fn may_decide(&mut self, op: Op, key: &str, value: &Value) -> Result<bool, Error> {
        let is_told = !key.contains(':') && tells(self.rtype, value, Says::People);
        if !(is_told || self.is_bare(op, key, value)) || !self.tolerances.dialect().is_lenient() {
            return Ok(false);
        }
        let detail = format!("value: {} has no such attribute: {key}", self.rtype.name);
        self.doubt(key, Error::path(detail).naming(key)).map(|()| true)
    }

    /// What is wrong with such a path.
    pub(super) fn bare_path(&self, verb: &Verb, path: &str, value: Option<&Value>) -> Option<Error> {
        let op = verb.op_with(value).ok()?;
        let is_bare = self.is_bare(op, path.trim(), value.unwrap_or(&Value::Null));
        (is_bare && self.tolerances.dialect().is_lenient())
            .then(|| Error::path(format!("path: {} has no such attribute: {path}", self.rtype.name)).naming(path))
    }

    /// Whether a name says no more of a value than that it is one: whatever may be meant by it without the name may be
    /// meant with it.
    fn is_bare(&self, op: Op, name: &str, value: &Value) -> bool {
        let may_go = op != Op::Add && self.rtype.people().is_some();
        name.eq_ignore_ascii_case(leaving::VALUE) && (may_go || self.rtype.principal && leaving::may_say(value))
    }
}
