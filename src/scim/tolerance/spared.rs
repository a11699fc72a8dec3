//! What a request needed beside the RFCs: the tolerances that it used, and what they dropped.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{Dialect, Tolerance};
use crate::scim::error::Error;
use crate::scim::json::{Limits, mended};

/// Names in one list at most.
const NAMES_MAX: usize = 1_000;
/// Characters of a name that is told, and of one of its segments: a key's text is longer than that.
const NAME_CHARS_MAX: usize = 256;
const SEGMENT_CHARS_MAX: usize = 64;
/// What stands for a name that may be a value in the wrong place.
const UNTOLD: &str = "?";

/// The most bytes of one text, unless a setting says otherwise.
pub const TEXT_BYTES_MAX: usize = 64 << 10;

/// Names of what was dropped, for the log: attribute paths or ids, never values, and not without bound.
#[derive(Clone, Debug, Default)]
pub struct Names {
    names: BTreeSet<String>,
    more: usize,
}

impl Names {
    fn add(&mut self, name: String) {
        if self.names.len() < NAMES_MAX {
            self.names.insert(name);
        } else if !self.names.contains(&name) {
            self.more += 1;
        }
    }

    /// Counts one that is not told.
    fn count(&mut self) {
        self.more += 1;
    }

    /// The names, in their order.
    pub fn list(&self) -> Vec<String> {
        self.names.iter().cloned().collect()
    }

    /// How many there were.
    pub fn total(&self) -> usize {
        self.names.len() + self.more
    }
}

/// A path as it may be told. What a filter compares with is left out; `None` for what does not look like a name: it
/// may be a value in the wrong place.
pub fn told_path(path: &str) -> Option<String> {
    let (head, tail) = match (path.split_once('['), path.rsplit_once(']')) {
        (Some((head, _)), Some((_, tail))) => (head, tail),
        _ => (path, ""),
    };
    let is_name = |segment: &str| {
        segment.len() <= SEGMENT_CHARS_MAX
            && segment.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$'))
    };
    let told = head.len() + tail.len() <= NAME_CHARS_MAX
        && !head.is_empty()
        && [head, tail].into_iter().flat_map(|part| part.split(['.', ':', '/', '#'])).all(is_name);
    told.then(|| format!("{head}{tail}"))
}

/// The tolerances of one request: which are allowed, and which were used.
#[derive(Clone, Debug)]
pub struct Tolerances {
    dialect: Dialect,
    text_bytes_max: usize,
    used: BTreeSet<Tolerance>,
    dropped: Names,
    unknown: Names,
    kept_out: Names,
    leaving: Option<Error>,
    beside: Option<Error>,
}

impl Tolerances {
    /// None used yet.
    pub fn new(dialect: Dialect) -> Self {
        Tolerances {
            dialect,
            text_bytes_max: TEXT_BYTES_MAX,
            used: BTreeSet::new(),
            dropped: Names::default(),
            unknown: Names::default(),
            kept_out: Names::default(),
            leaving: None,
            beside: None,
        }
    }

    /// The same with another limit of one text, in bytes.
    #[must_use]
    pub fn with_text_bytes_max(self, text_bytes_max: usize) -> Self {
        Tolerances { text_bytes_max, ..self }
    }

    /// The same for another part of the request, none used yet.
    #[must_use]
    pub fn fresh(&self) -> Self {
        Tolerances::new(self.dialect).with_text_bytes_max(self.text_bytes_max)
    }

    /// The dialect of the connection.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// How JSON is read. Where it is borne, `active` may stand several times in an object (see
    /// [`Tolerance::SeveralActive`]), and a text may be one that nobody can keep (see [`Tolerance::OverLimit`]).
    pub fn json_limits(&self) -> Limits {
        let repeated = Some("active").filter(|_| self.dialect.is_lenient());
        Limits { repeated, unstorable: self.dialect.is_lenient(), ..Limits::default() }
    }

    /// The bytes that are read so.
    pub fn json_bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        if self.dialect.is_lenient() { mended(bytes) } else { Cow::Borrowed(bytes) }
    }

    /// The most bytes of one text.
    pub fn text_bytes_max(&self) -> usize {
        self.text_bytes_max
    }

    /// Whether this dialect has the tolerance; if so, it is noted as used. Call it only where the
    /// request really needs it.
    pub fn allow(&mut self, tolerance: Tolerance) -> bool {
        let allowed = tolerance.dialects().contains(&self.dialect);
        if allowed {
            self.used.insert(tolerance);
        }
        allowed
    }

    /// Notes what another part of the same request used.
    pub fn absorb(&mut self, other: &Tolerances) {
        self.used.extend(&other.used);
    }

    /// The value of the `Keyroll-Tolerance` header; empty if none was used.
    pub fn header(&self) -> String {
        self.names().join(", ")
    }

    /// The names of those that were used, in the order of the table.
    pub fn names(&self) -> Vec<&'static str> {
        self.used.iter().map(|t| t.name()).collect()
    }

    /// The attribute paths that were dropped.
    pub fn dropped(&self) -> &Names {
        &self.dropped
    }

    /// The ids that no resource has, and that were dropped.
    pub fn unknown(&self) -> &Names {
        &self.unknown
    }

    /// The ids of resources that were to become members and did not.
    pub fn kept_out(&self) -> &Names {
        &self.kept_out
    }

    /// Notes a path whose value was dropped, as far as it may be told (see [`told_path`]).
    pub fn drop_path(&mut self, path: &str) {
        self.dropped.add(told_path(path).unwrap_or_else(|| UNTOLD.to_owned()));
    }

    /// Notes an id that no resource has. What has no digit in it may be somebody's name, and is only counted.
    pub fn drop_id(&mut self, id: &str) {
        let told = id.len() <= SEGMENT_CHARS_MAX
            && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
            && id.chars().any(|c| c.is_ascii_digit());
        match told {
            true => self.unknown.add(id.to_owned()),
            false => self.unknown.count(),
        }
    }

    /// Notes that a resource does not become a member because of [`Tolerance::Beside`].
    pub fn keep_out(&mut self, id: &str) {
        self.used.insert(Tolerance::Beside);
        self.kept_out.add(id.to_owned());
    }

    /// Sets aside that something unknown says that somebody leaves: see [`Tolerances::settle`].
    ///
    /// # Errors
    /// The error at once where the dialect drops nothing.
    pub(in crate::scim) fn spare_leaving(&mut self, path: &str, error: Error) -> Result<(), Error> {
        if !self.dialect.is_lenient() {
            return Err(error);
        }
        self.drop_path(path);
        self.leaving.get_or_insert(error);
        Ok(())
    }

    /// The same of what nobody understands and may say so.
    ///
    /// # Errors
    /// As [`Tolerances::spare_leaving`].
    pub(in crate::scim) fn spare_doubtful(&mut self, path: &str, error: Error) -> Result<(), Error> {
        self.spare_leaving(path, error)?;
        self.used.insert(Tolerance::Beside);
        Ok(())
    }

    /// The same as [`Tolerances::spare`] of an operation that has no path: it is named by its place.
    pub(in crate::scim) fn spare_operation(&mut self, error: Error, index: usize) -> Result<(), Error> {
        self.bears(error.clone())?;
        self.dropped.add(format!("Operations[{index}]"));
        self.beside.get_or_insert(error);
        Ok(())
    }

    /// Sets an error about one path aside: see [`Tolerances::settle`].
    ///
    /// # Errors
    /// The error itself, where the dialect drops nothing or where it is about a limit.
    pub(in crate::scim) fn spare(&mut self, error: Error, path: &str) -> Result<(), Error> {
        self.bears(error.clone())?;
        self.drop_path(path);
        self.beside.get_or_insert(error);
        Ok(())
    }

    /// Whether an error may be set aside at all.
    ///
    /// # Errors
    /// The error itself, as [`Tolerances::spare`].
    pub(in crate::scim) fn bears(&self, error: Error) -> Result<(), Error> {
        if self.dialect.is_lenient() && error.status == 400 { Ok(()) } else { Err(error) }
    }

    /// Takes what was set aside and not decided yet: the state that it leads to decides.
    pub(in crate::scim) fn put_off(&mut self) -> Option<Error> {
        self.beside.take()
    }

    /// Notes that a path keeps its value because of [`Tolerance::Beside`].
    pub fn drop_beside(&mut self, path: &str) {
        self.used.insert(Tolerance::Beside);
        self.drop_path(path);
    }

    /// Decides about what was set aside: a leaver does not live on, and nobody stays in a group or outside it,
    /// because of something beside the point. `leaves`: the request says that its principal is not active.
    /// `members`: it says who is in its group.
    ///
    /// # Errors
    /// What was set aside first, where it is no more than that.
    pub(in crate::scim) fn settle(&mut self, leaves: bool, members: bool) -> Result<(), Error> {
        if let Some(error) = self.leaving.take().filter(|_| !leaves) {
            return Err(error);
        }
        match self.beside.take() {
            Some(error) if !leaves && !members => Err(error),
            Some(_) => {
                self.used.insert(Tolerance::Beside);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(path: &str) -> String {
        let mut tolerances = Tolerances::new(Dialect::Auto);
        tolerances.drop_path(path);
        tolerances.dropped().list().join(" ")
    }

    #[test]
    fn names_tell_no_values() {
        assert_eq!(dropped("urn:a:b:2.0:User:clearance"), "urn:a:b:2.0:User:clearance");
        assert_eq!(dropped("http://schemas.example/2006/11/User"), "http://schemas.example/2006/11/User");
        assert_eq!(dropped("emails[value eq \"mira@example.com\"].shoe"), "emails.shoe");
        assert_eq!(dropped("emails[value eq \"mira@example.com\"]"), "emails");
        for odd in [
            "",
            "mira@example.com",
            "Mira Vale",
            "a[b",
            "kru_PtgZdxmXhZLz_ornGyn9SOc8LqvBpKjPSVrwfktfWRbmTDvsHkPiGM1R2l1CYl",
        ] {
            assert_eq!(dropped(odd), "?", "{odd}");
        }
        let id = |id: &str| {
            let mut tolerances = Tolerances::new(Dialect::Auto);
            tolerances.drop_id(id);
            assert_eq!(tolerances.unknown().total(), 1);
            tolerances.unknown().list().join(" ")
        };
        for told in ["01939e7a-5b1c-7def-8abc-0123456789ab", "00u1abc", "17"] {
            assert_eq!(id(told), told);
        }
        for odd in [
            "",
            "mira",
            "mira1@example.com",
            "Mira 1",
            "kru_PtgZdxmXhZLz_ornGyn9SOc8LqvBpKjPSVrwfktfWRbmTDvsHkPiGM1R2l1CYl",
        ] {
            assert_eq!(id(odd), "", "{odd}");
        }
    }

    #[test]
    fn names_are_bounded() {
        let mut tolerances = Tolerances::new(Dialect::Auto);
        for n in 0..1_500 {
            tolerances.drop_id(&n.to_string());
            tolerances.drop_id("7");
        }
        assert_eq!((tolerances.unknown().list().len(), tolerances.unknown().total()), (1_000, 1_500));
    }
}
