//! ETags and the conditions on them (RFC 7644 §3.14, RFC 9110 §13.1).
//!
//! Tags are weak, since projections of one version differ. HTTP's strong comparison would make `If-Match`
//! useless with them, so opaque values are compared and `W/` is ignored.

use crate::service::Error;

/// The conditional headers of a request, or the `version` of a Bulk operation.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// `If-Match`.
    pub if_match: Option<Tags>,
    /// `If-None-Match`.
    pub if_none_match: Option<Tags>,
}

/// The versions that a condition names.
#[derive(Clone, Debug)]
pub enum Tags {
    /// `*`: any.
    Any,
    /// By what stands between the quotes of their tags. What is no tag names none.
    These(Vec<String>),
}

impl Tags {
    /// The `version` of a Bulk operation (RFC 7644 §3.7).
    pub(in crate::service) fn of_version(version: &str) -> Tags {
        let version = version.trim();
        if version == "*" {
            return Tags::Any;
        }
        let quoted = version.strip_prefix("W/").unwrap_or(version);
        let opaque = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        Tags::These(opaque.map(str::to_owned).into_iter().collect())
    }

    fn name(&self, wanted: &str) -> bool {
        match self {
            Tags::Any => true,
            Tags::These(tags) => tags.iter().any(|tag| tag == wanted),
        }
    }
}

impl Conditions {
    /// Refuses a change of a version that the client has not seen, or has excluded.
    pub(in crate::service) fn check_write(&self, version: i64) -> Result<(), Error> {
        if self.is_unmodified(version)? {
            return Err(Error::PreconditionFailed("If-None-Match: the resource has that version"));
        }
        Ok(())
    }

    /// Whether a read finds that the client has this version already; refuses to show a version other
    /// than the one asked for.
    pub(in crate::service) fn is_unmodified(&self, version: i64) -> Result<bool, Error> {
        // Most requests have no condition, and reads are many.
        if self.if_match.is_none() && self.if_none_match.is_none() {
            return Ok(false);
        }
        self.is_unmodified_as(&version.to_string())
    }

    /// The same for what has a tag that is no number: what stands between its quotes.
    ///
    /// # Errors
    /// 412 if it is not the one that `If-Match` names.
    pub fn is_unmodified_as(&self, opaque: &str) -> Result<bool, Error> {
        match &self.if_match {
            Some(tags) if !tags.name(opaque) => Err(Error::PreconditionFailed("the resource has another version")),
            _ => Ok(self.if_none_match.as_ref().is_some_and(|tags| tags.name(opaque))),
        }
    }
}

/// The tag of a version: `W/"3"`.
pub(in crate::service) fn etag(version: i64) -> String {
    format!("W/\"{version}\"")
}

#[cfg(test)]
mod tests {
    use super::Tags;

    #[test]
    fn tags_compare_without_their_weakness() {
        for version in ["W/\"3\"", " \"3\" ", "*"] {
            assert!(Tags::of_version(version).name("3"), "{version}");
        }
        for version in ["W/\"4\"", "", "\"33\"", "W/3x", "3", "W/3", "W/\"3", "3\"", "\"\"3\"\"", "w/\"3\"", "\""] {
            assert!(!Tags::of_version(version).name("3"), "{version}");
        }
    }
}
